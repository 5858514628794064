"""An in-memory DuckDB for one job over one run folder, and durable writing of its results.

Nothing is kept in a database file: a second process could not open it, not even to read. The folder
holds Parquet only, and each job opens a database of its own.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from tfy_last9.adapters.runfolder.durable import sync
from tfy_last9.errors import BrokenRun

THREADS = 2
MEMORY = "1GB"
"""Beyond it sorts and joins spill to the temporary folder; a run of 200k requests needs about that."""


def open_database() -> duckdb.DuckDBPyConnection:
    """Open an empty in-memory database that never downloads extensions; the caller closes it."""
    database = duckdb.connect(
        ":memory:",
        config={
            "threads": THREADS,
            "memory_limit": MEMORY,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            # The default spills into the working directory.
            "temp_directory": str(Path(tempfile.gettempdir()) / f"tfy-last9-spill-{os.getpid()}"),
        },
    )
    database.execute("SET enable_progress_bar = false")
    return database


@contextmanager
def reading(*files: Path) -> Iterator[None]:
    """Turn what DuckDB says about a damaged file of the run folder into a `BrokenRun` that names it."""
    try:
        yield
    except duckdb.Error as error:
        named = [file for file in files if file.name in str(error)] or list(files)
        said = str(error).partition("\n")[0]
        raise BrokenRun(
            f"{' or '.join(str(file) for file in named)} cannot be read: {said}",
            hint="the file is damaged or was edited: restore the run folder, or run the gate again",
        ) from error


def literal(text: str | os.PathLike[str]) -> str:
    """Return `text` as an SQL string literal, for places where DuckDB takes no parameter."""
    return "'" + str(text).replace("'", "''") + "'"


def text_list(values: tuple[str, ...]) -> str:
    """Return an SQL list of strings, typed even when it is empty."""
    return "[" + ", ".join(literal(value) for value in values) + "]::VARCHAR[]"


def write_parquet(database: duckdb.DuckDBPyConnection, query: str, path: Path) -> None:
    """Write the rows of `query` to `path`, whole or not at all."""
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.unlink(missing_ok=True)
    database.execute(f"COPY ({query}) TO {literal(temporary)} (FORMAT parquet, COMPRESSION zstd)")
    sync(temporary)
    temporary.replace(path)
    sync(path.parent)


def scalar_int(database: duckdb.DuckDBPyConnection, query: str) -> int:
    """Return the one integer that `query` yields; a null counts as 0."""
    row = database.execute(query).fetchone()
    return int(row[0] or 0) if row else 0

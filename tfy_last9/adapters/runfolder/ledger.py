"""The ledger file as a relation with all of today's columns, whatever version wrote it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfy_last9.adapters.runfolder.database import literal
from tfy_last9.model.request import ledger_columns

if TYPE_CHECKING:
    from pathlib import Path

ALWAYS = ("run_id", "request_id", "seq", "outcome", "connect_ns")
"""Columns of the first version, enough to tell a ledger from the other files of a folder."""


def ledger_relation(path: Path) -> str:
    """Return SQL that reads a ledger; a column that an older version did not write is null.

    A file without the columns that every version wrote is no ledger: reading it is an error.
    """
    always = ", ".join(f"{name} AS {name}" for name in ALWAYS)
    nothing = ", ".join(f"NULL::{kind} AS {name}" for name, kind in ledger_columns().items())
    return (
        f"(SELECT {nothing} WHERE false UNION ALL BY NAME "  # noqa: S608 - column names are constants
        f"SELECT * REPLACE ({always}) FROM read_parquet({literal(path)}))"
    )

"""Where runs are kept to compare with: a folder, archives of a CI system, or a bucket (`s3://...`).

Runs lie flat, one folder each, named as you like: what they are is read from `run.json` and
`verdict.json`. An archive (`*.zip`) is one run, as GitHub stores an artifact. Places that are not a plain
folder are mirrored: the small files of every run, then all files of the one that was chosen. Any place
that fsspec knows will do; credentials are those of its own library (for S3 the usual `AWS_*`).
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

import fsspec  # type: ignore[import-untyped] # ships no annotations
from fsspec.implementations.zip import ZipFileSystem  # type: ignore[import-untyped] # as above

from tfy_last9.adapters.runfolder.folder import RunFolder
from tfy_last9.errors import BackendUnavailable, ConfigurationError

SMALL = ("run.json", "verdict.json")
"""Enough to choose by. The manifest is stored last: a run that is half stored is none."""
LEDGER = (*SMALL, "requests.parquet")
"""Enough to compare with."""
_LEFT_OUT = (".work", "sandbox")
_EXTRAS = {"s3": "s3", "s3a": "s3"}


@dataclass(frozen=True, slots=True)
class _Stored:
    """One run where it is kept."""

    files: Any
    """A file system of fsspec."""
    root: str

    def path(self, name: str) -> str:
        return f"{self.root}/{name}" if self.root else name


class Shelf:
    """The runs of one place, as folders on this machine."""

    def __init__(self, path: Path, stored: dict[str, _Stored], location: str) -> None:
        self.path = path
        """A folder of run folders: the place itself, or a mirror of it."""
        self.location = location
        self._stored = stored

    def fetch(self, folder: RunFolder, names: tuple[str, ...] | None = None) -> None:
        """Bring files of a run here, all of them by default; nothing to do for a plain folder."""
        stored = self._stored.get(folder.path.name)
        if stored is None:
            return
        with reaching(self.location):
            for name in names or _names(stored):
                if ".." in PurePosixPath(name).parts:
                    continue  # an archive must not write elsewhere
                there = stored.path(name)
                if (folder.path / name).exists() or not stored.files.isfile(there):
                    continue
                (folder.path / name).parent.mkdir(parents=True, exist_ok=True)
                stored.files.get_file(there, str(folder.path / name))


@contextmanager
def open_shelf(location: str) -> Iterator[Shelf]:
    """Open a place where runs are kept. Raises `ConfigurationError`, or `BackendUnavailable` saying why."""
    with reaching(location):
        files, root = _filesystem(location)
        is_plain = _is_local(files) and not list(Path(root).glob("*.zip"))
        stored = {} if is_plain else _runs(files, root)
    if is_plain:
        yield Shelf(Path(root), stored, location)
        return
    with TemporaryDirectory(prefix="tfy-last9-baselines-") as mirror:
        with reaching(location):
            _mirror(stored, Path(mirror))
        yield Shelf(Path(mirror), stored, location)


def keep(folder: RunFolder, location: str) -> str:
    """Store a run folder in a place; return where. What is stored already is left as it is."""
    with reaching(location):
        files, root = _filesystem(location)
        name = folder.path.resolve().name
        target, shown = f"{root}/{name}", f"{location.rstrip('/')}/{name}"
        if files.isfile(f"{target}/run.json"):
            return shown
        names = [
            path.relative_to(folder.path).as_posix()
            for path in sorted(folder.path.rglob("*"))
            if path.is_file() and not _is_left_out(path.relative_to(folder.path))
        ]
        for name in sorted(names, key=lambda name: (name in SMALL, name == "run.json", name)):
            if _is_local(files):
                Path(f"{target}/{name}").parent.mkdir(parents=True, exist_ok=True)
            files.put_file(str(folder.path / name), f"{target}/{name}")
    return shown


@contextmanager
def reaching(location: str) -> Iterator[None]:
    """Turn whatever a file system says into one message that names the place and the cause."""
    scheme = urlsplit(location).scheme
    try:
        yield
    except ConfigurationError:
        raise
    except ImportError as error:
        extra = _EXTRAS.get(scheme)
        hint = f"pip install 'tfy-last9[{extra}]'" if extra else "pip install what it names"
        raise ConfigurationError(
            f"{location} needs a library that is not here: {error}", hint=hint
        ) from error
    except ValueError as error:
        raise ConfigurationError(f"{location} cannot be used: {error}") from error
    except Exception as error:  # every file system brings exceptions of its own
        raise BackendUnavailable(
            f"{location} cannot be reached: {type(error).__name__}: {error}",
            hint="check the address and its credentials; for S3: AWS_ACCESS_KEY_ID,"
            " AWS_SECRET_ACCESS_KEY, AWS_REGION, and AWS_ENDPOINT_URL where it is not Amazon's",
        ) from error


def _filesystem(location: str) -> tuple[Any, str]:
    parts = urlsplit(location)
    if parts.username is not None:
        raise ConfigurationError(
            f"a place for baselines holds no credential: {parts.scheme}://...@...",
            hint="put it into the environment variables of the storage",
        )
    files, root = fsspec.core.url_to_fs(location, skip_instance_cache=True)
    return files, str(root).rstrip("/")


def _is_local(files: Any) -> bool:
    return isinstance(files, fsspec.implementations.local.LocalFileSystem)


def _runs(files: Any, root: str) -> dict[str, _Stored]:
    """Return what may be a run: folders, and archives."""
    found: dict[str, _Stored] = {}
    try:
        entries = files.ls(root, detail=True)
    except FileNotFoundError:
        if "/" in root and files.exists(root.partition("/")[0]):
            return found  # a bucket has no empty folders: nothing was kept here yet
        raise
    for entry in entries:
        place = str(entry["name"]).rstrip("/")
        name = PurePosixPath(place).name
        if name.startswith("."):
            continue
        if entry["type"] == "directory":
            found[name] = _Stored(files, place)
        elif name.endswith(".zip"):
            found[name] = _Stored(ZipFileSystem(fo=files.open(place, "rb")), "")
    return found


def _mirror(stored: dict[str, _Stored], mirror: Path) -> None:
    """Bring the small files here, those of one file system all at once."""
    asked: dict[int, tuple[Any, dict[str, Path]]] = {}
    for name, one in stored.items():
        _, paths = asked.setdefault(id(one.files), (one.files, {}))
        paths |= {one.path(file): mirror / name / file for file in SMALL}
    for files, paths in asked.values():
        for place, content in files.cat(list(paths), on_error="return").items():
            copy = paths.get(place) or paths[place.lstrip("/")]
            if isinstance(content, bytes):
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.write_bytes(content)
            elif not isinstance(content, FileNotFoundError | KeyError):
                raise content


def _names(stored: _Stored) -> list[str]:
    found = stored.files.find(stored.root)
    return [str(name).removeprefix(stored.root).lstrip("/") for name in found]


def _is_left_out(path: Path) -> bool:
    return path.parts[0] in _LEFT_OUT or path.name.startswith(".")


def copy_ledger(baseline: RunFolder, folder: RunFolder) -> None:
    """Copy of a run what comparing needs into `baseline/` of another."""
    folder.baseline.path.mkdir(exist_ok=True)
    for name in LEDGER:
        shutil.copyfile(baseline.path / name, folder.baseline.path / name)

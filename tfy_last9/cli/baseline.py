"""Runs that others are measured by: the one that `compare` names, and those that `keep` stores."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from tfy_last9.adapters.baselines import Wanted, is_baseline, latest_pass
from tfy_last9.adapters.compared import place_of
from tfy_last9.adapters.runfolder.folder import RunFolder
from tfy_last9.adapters.shelves import keep, open_shelf
from tfy_last9.cli.console import Console
from tfy_last9.errors import ConfigurationError


@contextmanager
def stored_run(baseline: str, place: str | None, canary: RunFolder) -> Iterator[RunFolder]:
    """Bring the run that `compare` names, or the newest passing one, whole onto this machine."""
    wanted = Wanted.by(canary.read_manifest())
    default = str(canary.path.resolve().parent)
    location, name = place_of(baseline, place or default)
    with open_shelf(location) as shelf:
        if name is None:
            run = latest_pass(shelf.path, wanted, place=location)
        else:
            run = RunFolder(shelf.path / name)
        shelf.fetch(run)
        yield run


def keep_run(
    run: Annotated[Path, typer.Argument(help="Run folder, for example runs/20261123-...")],
    place: Annotated[
        str, typer.Argument(help="Folder or bucket, for example s3://bucket/tfy-last9/smoke.")
    ],
) -> None:
    """Store a passing run as a baseline for later ones, in a folder or in S3-compatible storage.

    Buckets need `pip install 'tfy-last9[s3]'` and the usual AWS_* variables. Later:
    `gate --baseline latest-pass --baselines PLACE`.

    Example: tfy-last9 keep runs/20261123-... baselines/
    """
    folder = RunFolder(run)
    manifest = folder.read_manifest()
    if not is_baseline(folder):
        raise ConfigurationError(
            f"run {manifest.run_id} did not pass, so later runs must not be measured by it",
            hint="keep a run with verdict PASS, or one that lacked nothing but a baseline",
        )
    Console().say(f"kept: {keep(folder, place)}")

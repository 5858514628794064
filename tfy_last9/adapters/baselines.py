"""Find the run to compare with: the newest passing one of the same traffic in a folder of runs."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfy_last9.adapters.runfolder.folder import RunFolder
from tfy_last9.errors import BrokenRun, ConfigurationError
from tfy_last9.model.run import Manifest
from tfy_last9.model.verdict import State

LATEST_PASS = "latest-pass"  # noqa: S105 - a keyword of the command line, not a password
LATEST = "latest"
"""For `--retry-of`: the newest look at the same thing."""
COMPARABILITY = "comparability"


@dataclass(frozen=True, slots=True)
class Searched:
    """What a folder holds besides the wanted run: said when none is found."""

    runs: int
    passed: int
    comparable: int


def latest_pass(runs: Path, canary: RunFolder) -> RunFolder:
    """Return the newest other run in `runs` that passed and had the canary's comparability hash.

    Only PASS counts: a WARN is too close to a limit to measure others by. Runs of the sandbox are
    compared with runs of the sandbox only. Raises `ConfigurationError` saying what was there instead.
    """
    wanted = canary.read_manifest()
    others = [found for found in _manifests(runs) if found[1].run_id != wanted.run_id]
    alike = [found for found in others if _comparable(found[1], wanted)]
    passed = [found for found in alike if _state(found[0]) == State.PASS]
    if not passed:
        total = sum(_state(folder) == State.PASS for folder, _ in others)
        raise _none(runs, Searched(len(others), total, len(alike)))
    return max(passed, key=lambda found: (found[1].created_ns, found[1].run_id))[0]


def newest_look(
    runs: Path, digests: Mapping[str, str], is_here: Callable[[Manifest], bool]
) -> RunFolder | None:
    """Return the newest judged run in `runs` with these digests, if any; an ERROR was no look."""
    found = [
        (manifest.created_ns, manifest.run_id, folder)
        for folder, manifest in (_manifests(runs) if runs.is_dir() else ())
        if all(manifest.digests.get(name) == digest for name, digest in digests.items())
        and is_here(manifest)
        and _state(folder) not in {None, State.ERROR}
    ]
    return max(found, key=lambda one: one[:2])[2] if found else None


def runs_that_repeat(runs: Path, run_id: str) -> list[str]:
    """Return the judged runs in `runs` that took their last look after this one; an ERROR was no look."""
    return [
        manifest.run_id
        for folder, manifest in (_manifests(runs) if runs.is_dir() else ())
        if manifest.retry is not None
        and manifest.retry.runs[-1].run_id == run_id
        and _state(folder) not in {None, State.ERROR}
    ]


def _manifests(runs: Path) -> list[tuple[RunFolder, Manifest]]:
    """Return the runs that can be read; one broken folder must not hide the others."""
    if not runs.is_dir():
        raise ConfigurationError(f"there is no folder {runs} to look for a baseline in")
    found = []
    for path in sorted(runs.iterdir()):
        folder = RunFolder(path)
        if folder.manifest_path.is_file():
            try:
                found.append((folder, folder.read_manifest()))
            except BrokenRun:
                continue
    return found


def _comparable(manifest: Manifest, wanted: Manifest) -> bool:
    known = wanted.digests.get(COMPARABILITY)
    same_place = manifest.sandbox == wanted.sandbox and manifest.client_only == wanted.client_only
    return known is not None and manifest.digests.get(COMPARABILITY) == known and same_place


def _state(folder: RunFolder) -> str | None:
    try:
        document: Any = json.loads(folder.verdict_path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    state = document.get("state") if isinstance(document, dict) else None
    return state if isinstance(state, str) else None


def _none(runs: Path, seen: Searched) -> ConfigurationError:
    return ConfigurationError(
        f"no baseline in {runs}: of {seen.runs} other run(s), {seen.passed} passed and"
        f" {seen.comparable} had the same scenario (but for limits), none both",
        hint="run the gate on what is in production first, with the same scenario, and keep its folder",
    )

"""Find the run to compare with: the newest passing one of the same traffic in a folder of runs.

Folders elsewhere (archives, buckets) are brought here by `shelves`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfy_last9.adapters.runfolder.folder import RunFolder
from tfy_last9.errors import BrokenRun, ConfigurationError
from tfy_last9.judge.relative import MISSING
from tfy_last9.model.run import Manifest
from tfy_last9.model.verdict import State

LATEST_PASS = "latest-pass"  # noqa: S105 - a keyword of the command line, not a password
LATEST = "latest"
"""For `--retry-of`: the newest look at the same thing."""
COMPARABILITY = "comparability"
_WELL = frozenset({State.PASS, State.INFO, State.NOT_CONFIGURED})
_LACKING = frozenset({"no_data", "passed_with_warnings"})


class NoBaseline(ConfigurationError):
    """There is no run to compare with; nothing was sent."""


@dataclass(frozen=True, slots=True)
class Searched:
    """What a folder holds besides the wanted run: said when none is found."""

    runs: int
    passed: int
    comparable: int


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a baseline must have in common with the run that is compared with it."""

    comparability: str | None
    sandbox: bool
    client_only: bool
    run_id: str | None = None
    """The run itself, which is not its own baseline; None before it has a name."""

    @classmethod
    def by(cls, manifest: Manifest) -> Wanted:
        """Return what the baseline of this run must be like."""
        known = manifest.digests.get(COMPARABILITY)
        return cls(known, manifest.sandbox, manifest.client_only, manifest.run_id)

    def fits(self, manifest: Manifest) -> bool:
        """Tell whether the numbers of this run may be compared with those of the wanting one."""
        known = self.comparability is not None
        same_place = (manifest.sandbox, manifest.client_only) == (self.sandbox, self.client_only)
        return known and manifest.digests.get(COMPARABILITY) == self.comparability and same_place


def latest_pass(runs: Path, wanted: Wanted, *, place: str | None = None) -> RunFolder:
    """Return the newest other run in `runs` that passed and fits.

    Only PASS counts: a WARN is too close to a limit to measure others by. Runs of the sandbox are
    compared with runs of the sandbox only. Raises `NoBaseline` saying what was there instead.
    """
    place = place or str(runs)
    if not runs.is_dir():
        raise NoBaseline(f"there is no folder {place} to look for a baseline in")
    others = [found for found in _manifests(runs) if found[1].run_id != wanted.run_id]
    alike = [found for found in others if wanted.fits(found[1])]
    passed = [found for found in alike if is_baseline(found[0])]
    if not passed:
        total = sum(is_baseline(folder) for folder, _ in others)
        raise _none(place, Searched(len(others), total, len(alike)))
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


def is_baseline(folder: RunFolder) -> bool:
    """Tell whether others may be measured by a run: it passed, or lacked only a baseline of its own.

    The first run that asks for a baseline cannot have one: its own objectives make it the first.
    """
    document = _verdict(folder)
    findings = document.get("findings")
    if document.get("state") == State.PASS:
        return True
    if not isinstance(findings, list) or document.get("reason_code") not in _LACKING:
        return False
    unwell = [one for one in findings if one.get("state") not in _WELL]
    return bool(findings) and all(
        one.get("objective") in MISSING and one.get("state") == State.NO_DATA for one in unwell
    )


def _manifests(runs: Path) -> list[tuple[RunFolder, Manifest]]:
    """Return the runs that can be read; one broken folder must not hide the others."""
    found = []
    for path in sorted(runs.iterdir()):
        folder = RunFolder(path)
        if folder.manifest_path.is_file():
            try:
                found.append((folder, folder.read_manifest()))
            except BrokenRun:
                continue
    return found


def _state(folder: RunFolder) -> str | None:
    state = _verdict(folder).get("state")
    return state if isinstance(state, str) else None


def _verdict(folder: RunFolder) -> dict[str, Any]:
    try:
        document: Any = json.loads(folder.verdict_path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}


def _none(place: str, seen: Searched) -> NoBaseline:
    return NoBaseline(
        f"no baseline in {place}: of {seen.runs} other run(s), {seen.passed} passed and"
        f" {seen.comparable} had the same scenario (but for limits), none both",
        hint="run the gate on what is in production first, with the same scenario, and keep its folder",
    )

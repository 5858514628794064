"""`gate --retry-of RUN`: repeat an undecided run as another planned look, never a decided one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tfy_last9.adapters.baselines import LATEST, newest_look, runs_that_repeat
from tfy_last9.adapters.files.digests import comparability_hash, slo_digest
from tfy_last9.adapters.files.openslo import load_objectives
from tfy_last9.adapters.runfolder.folder import RunFolder
from tfy_last9.adapters.runfolder.reduce import Reduction
from tfy_last9.cli.console import Console
from tfy_last9.cli.judging import decide
from tfy_last9.errors import ConfigurationError
from tfy_last9.judge.retries import refusal, retry_of
from tfy_last9.model.run import Manifest, Retry
from tfy_last9.model.scenario import Scenario


@dataclass(frozen=True, slots=True)
class Place:
    """Where a run goes; a look somewhere else is no second look at the same thing."""

    sandbox: bool
    client_only: bool
    gateway_url: str | None
    """None in the sandbox, where it is another one each time."""

    def holds(self, manifest: Manifest) -> bool:
        """Tell whether a stored run went here too."""
        here = self.sandbox, self.client_only
        there = manifest.sandbox, manifest.client_only
        return here == there and self.gateway_url in {None, manifest.gateway_url}


def earlier_looks(
    wanted: Path, out: Path, scenario: Scenario, slo: Path, place: Place, console: Console
) -> Retry | None:
    """Return what the named run leaves to this one; None for `latest` where there is no run yet.

    Raises `ConfigurationError` for a run that may not be repeated, and says why.
    """
    digests = {"comparability": comparability_hash(scenario), "slo": slo_digest(slo)}
    if str(wanted) == LATEST:
        folder = newest_look(out, digests, place.holds)
        if folder is None:
            console.say(f"no earlier look at this in {out}: this is the first")
            return None
    else:
        folder = RunFolder(wanted)
    manifest = folder.read_manifest()
    _check_same(manifest, digests, place)
    objectives = load_objectives(folder.slo_path)
    verdict = decide(folder, objectives)
    looks = 1 if manifest.retry is None else 1 + len(manifest.retry.runs)
    refused = refusal(verdict.state, scenario.policy, looks)
    if refused is not None:
        raise ConfigurationError(
            f"{manifest.run_id} cannot be retried: {refused[0]}", hint=refused[1]
        )
    _check_first(manifest, (out, folder.path.resolve().parent))
    with Reduction(folder, objectives) as reduction:
        found = retry_of(manifest, verdict, objectives, reduction.tallies())
    console.say(
        f"look {looks + 1} of {1 + scenario.policy.retries}: {manifest.run_id} was {verdict.state}"
    )
    return found


def _check_same(manifest: Manifest, digests: dict[str, str], place: Place) -> None:
    if not place.holds(manifest):
        raise ConfigurationError(
            f"{manifest.run_id} cannot be retried here: it went to another place"
            f" ({'sandbox' if manifest.sandbox else manifest.gateway_url})",
            hint="two systems are not looked at twice, but once each: leave out --retry-of",
        )
    other = [name for name, digest in digests.items() if manifest.digests.get(name) != digest]
    if other:
        words = {"comparability": "traffic or policy", "slo": "SLO files"}
        raise ConfigurationError(
            f"{manifest.run_id} cannot be retried with this: it had other"
            f" {' and other '.join(words[name] for name in other)}",
            hint="give the files and options of the run that is retried; it fixed them for all its looks",
        )


def _check_first(manifest: Manifest, places: Sequence[Path]) -> None:
    """Two retries of one run would be more looks than are counted."""
    for place in places:
        for run_id in runs_that_repeat(place, manifest.run_id):
            raise ConfigurationError(
                f"{manifest.run_id} was retried before, by {run_id}",
                hint=f"that run holds the events of both: use --retry-of {place / run_id}",
            )

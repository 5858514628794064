"""The run to compare with: found before load is sent, and copied into the run folder.

For whoever starts a run: `gate --baseline`, and `--baseline` of a locustfile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from tfy_last9.adapters.baselines import LATEST_PASS, NoBaseline, Wanted, is_baseline, latest_pass
from tfy_last9.adapters.files.digests import comparability_hash
from tfy_last9.adapters.runfolder.folder import RunFolder
from tfy_last9.adapters.shelves import LEDGER, Shelf, copy_ledger, open_shelf
from tfy_last9.errors import ConfigurationError
from tfy_last9.model.run import Baseline
from tfy_last9.model.scenario import Scenario

PLACE = "TFY_BASELINES"
"""Environment variable that names where baselines are kept."""


@dataclass(frozen=True, slots=True)
class Compared:
    """What a run was asked to be compared with, and what was found."""

    facts: Baseline
    run: RunFolder | None
    """None: there is none, which is NO_DATA and no reason to send nothing."""

    def attach(self, folder: RunFolder) -> None:
        """Write into a new run folder what it is compared with; from then on it needs no other place."""
        folder.write_manifest(replace(folder.read_manifest(), baseline=self.facts))
        if self.run is not None:
            copy_ledger(self.run, folder)


@contextmanager
def found_baseline(
    asked: str | None, place: str, scenario: Scenario, wanted: Wanted, say: Callable[[str], None]
) -> Iterator[Compared | None]:
    """Look for the baseline of a run that is about to start; None where nobody asked for one.

    Raises `ConfigurationError` for a run that is none, `BackendUnavailable` for a place out of reach.
    """
    if asked is None:
        yield None
        return
    if scenario.arms is not None:
        raise ConfigurationError(
            "--baseline does not fit a scenario with arms, which brings its own baseline",
            hint="leave out --baseline, or take `arms:` out of the scenario",
        )
    location, name = place_of(asked, place)
    with open_shelf(location) as shelf:
        try:
            run = _chosen(shelf, name, wanted)
        except NoBaseline as none:
            say(f"baseline: {none.message}")
            say("          whatever is measured, the comparison will be NO_DATA")
            yield Compared(Baseline(asked, None, none.message), None)
            return
        shelf.fetch(run, LEDGER)
        run.require_ledger()
        run_id = run.read_manifest().run_id
        say(f"baseline: {run_id}")
        yield Compared(Baseline(asked, run_id), run)


def wanted_by(scenario: Scenario, *, sandbox: bool, client_only: bool) -> Wanted:
    """Return what the baseline of a run that has no folder yet must be like."""
    return Wanted(comparability_hash(scenario), sandbox, client_only)


def place_of(asked: str, place: str) -> tuple[str, str | None]:
    """Return where to look, and for which run; None: the newest passing one."""
    if asked == LATEST_PASS:
        return place, None
    location, _, name = asked.rstrip("/").rpartition("/")
    return location or ".", name


def _chosen(shelf: Shelf, name: str | None, wanted: Wanted) -> RunFolder:
    if name is None:
        return latest_pass(shelf.path, wanted, place=shelf.location)
    run = RunFolder(shelf.path / name)
    if not wanted.fits(run.read_manifest()):
        raise ConfigurationError(
            f"run {name} is no baseline for this scenario: they differ in more than their limits",
            hint="give a run of the same scenario file, --rate, --duration and --seed, or latest-pass",
        )
    if not is_baseline(run):
        raise ConfigurationError(
            f"run {name} did not pass, so nothing may be measured by it",
            hint="give a run that passed, or latest-pass",
        )
    return run

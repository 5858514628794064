"""Reduce a stored run to the few numbers that judging needs.

Reads nothing but the folder, keeps everything columnar, and answers the same for the same bytes.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Self

from tfy_last9.adapters.runfolder.accounting import read_accounting
from tfy_last9.adapters.runfolder.arm_bets import read_arm_bets
from tfy_last9.adapters.runfolder.arms import latency_limits, read_arms, read_two_runs
from tfy_last9.adapters.runfolder.bets import read_bets
from tfy_last9.adapters.runfolder.books import open_books
from tfy_last9.adapters.runfolder.burns import read_burns
from tfy_last9.adapters.runfolder.composites import read_composite
from tfy_last9.adapters.runfolder.contract import read_contract
from tfy_last9.adapters.runfolder.counted import (
    needs_every_trace,
    of_population,
    with_counts,
    with_unseen,
)
from tfy_last9.adapters.runfolder.database import scalar_int
from tfy_last9.adapters.runfolder.events import load_events
from tfy_last9.adapters.runfolder.intact import check_spans
from tfy_last9.adapters.runfolder.join import DEFAULT_REQUIRED, complete
from tfy_last9.adapters.runfolder.losses import with_losses
from tfy_last9.adapters.runfolder.quotas import with_limited
from tfy_last9.adapters.runfolder.sample import populations
from tfy_last9.adapters.runfolder.scalars import read_scalars
from tfy_last9.adapters.runfolder.soundness import read_validity
from tfy_last9.adapters.runfolder.tally import read_tallies
from tfy_last9.adapters.runfolder.timeslices import sliced
from tfy_last9.adapters.runfolder.why import explain
from tfy_last9.errors import BrokenRun, ConfigurationError
from tfy_last9.judge.early import can_be_bet_on, can_be_bet_on_traces
from tfy_last9.judge.live import with_last_week
from tfy_last9.model.objective import (
    Completeness,
    Composite,
    Objective,
    Ratio,
    Scalar,
    Threshold,
    parts,
)
from tfy_last9.model.run import Window

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tfy_last9.adapters.runfolder.folder import RunFolder
    from tfy_last9.judge.multiplicity import Claim
    from tfy_last9.model.canary import ArmTally
    from tfy_last9.model.contract import ContractGap
    from tfy_last9.model.trace import Role
    from tfy_last9.model.verdict import Accounting, BurnRate, Finding, Group, Tally, Validity, Why

UNSEEN = """
SELECT grp, count(*) FROM events WHERE verdict = 'bad' AND detail = 'missing' GROUP BY grp
"""


def required_roles(objectives: Iterable[Objective]) -> tuple[Role, ...]:
    """Return the roles that settling waits for: all that completeness objectives ask, else root and model."""
    asked = {
        role
        for objective in objectives
        for indicator in parts(objective.indicator)
        if isinstance(indicator, Completeness)
        for role in indicator.require
    }
    return tuple(sorted(asked)) or DEFAULT_REQUIRED


class Reduction:
    """The two books of a sealed run, reduced to counts."""

    def __init__(self, folder: RunFolder, objectives: Sequence[Objective]) -> None:
        manifest = folder.read_manifest()
        if manifest.counters is None:
            raise BrokenRun(
                f"{folder.path} was never sealed: run.json has no counters",
                hint=f"seal it with `tfy-last9 collect {folder.path}`",
            )
        self._folder = folder
        self._objectives = with_last_week(objectives, manifest.last_week)
        self._counters = manifest.counters
        self._manifest = manifest
        self._arms = manifest.scenario.arms
        self._stops_early = manifest.scenario.policy.early_stop
        late_after_s = manifest.scenario.settle.late_after_s
        evidence = folder.read_evidence() if folder.evidence_path.is_file() else None
        self._sampling = manifest.scenario.sampling
        self._sample = evidence.sample if evidence else None
        self._counts = evidence.counts if evidence else ()
        self._oracle = evidence.oracle if evidence else None
        self._database = open_books(folder, manifest.scenario, late_after_s, self._sample)
        try:
            check_spans(self._database, folder, evidence)
        except BrokenRun:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Free the memory."""
        self._database.close()

    def tallies(self) -> dict[str, tuple[Tally, ...]]:
        """Return the counts per group of each objective, by its name; never an empty tuple."""
        return {objective.name: self._tallies(objective) for objective in self._objectives}

    def _tallies(self, objective: Objective) -> tuple[Tally, ...]:
        indicator, database = objective.indicator, self._database
        if self._sample is not None and needs_every_trace(objective):
            raise ConfigurationError(
                f"{objective.name} needs every trace, but this run holds a sample of them",
                hint=f"LAST9_STRATEGY=rows tfy-last9 collect {self._folder.path}",
            )
        if isinstance(indicator, Scalar):
            return read_scalars(database, objective, indicator)
        if isinstance(indicator, Composite):
            return read_composite(database, objective, indicator)
        load_events(database, indicator, objective.group_by)
        tallies = with_limited(database, self._manifest.scenario, read_tallies(database, objective))
        if isinstance(indicator, Completeness):
            rows = database.execute(UNSEEN).fetchall()
            tallies = with_unseen(tallies, {tuple(values): n for values, n in rows})
        if self._sample is not None:
            tallies = with_counts(objective, tallies, self._counts)
            if objective.is_census:
                return of_population(tallies, populations(database))
        if objective.slicing is None:
            return tallies
        return sliced(database, objective.slicing, tallies)

    def arms(self) -> tuple[ArmTally, ...]:
        """Return both arms per provider, or a run beside its baseline; empty where nothing is compared."""
        if self._arms is None:
            baseline = self._manifest.baseline
            if baseline is None or baseline.run_id is None:
                return ()
            return read_two_runs(self._folder.baseline, self._folder, self._objectives)
        return read_arms(self._database, self._objectives, self._arms)

    def causes(self, findings: Iterable[Finding]) -> dict[tuple[str, Group], Why]:
        """Return what is known about the cause of each of these findings."""
        asked: dict[str, list[Group]] = {}
        for finding in findings:
            asked.setdefault(finding.objective, []).append(finding.group)
        return {
            (objective.name, group): why
            for objective in self._objectives
            if objective.name in asked  # a comparison of arms explains itself
            for group, why in explain(self._database, objective, asked[objective.name]).items()
        }

    def burns(self, findings: Iterable[Finding]) -> dict[tuple[str, Group], tuple[BurnRate, ...]]:
        """Return the burn rates of live traffic; none for a run that was sent from here."""
        manifest = self._manifest
        if not manifest.live or manifest.start_ns is None:
            return {}
        end_ns = manifest.start_ns + round(manifest.scenario.duration_s * 1e9)
        named = {objective.name: objective for objective in self._objectives}
        window = Window(manifest.start_ns, end_ns)
        return {
            (one.objective, one.group): read_burns(
                self._database, named[one.objective], one.group, window
            )
            for one in findings
            if one.total > 0
        }

    def bets(self) -> dict[Claim, float]:
        """Return what slice betting proved per claim; empty unless the scenario stops early."""
        if not self._stops_early:
            return {}
        found: dict[Claim, float] = {}
        for objective in self._objectives:
            indicator = objective.indicator
            on_traces = can_be_bet_on_traces(objective) and self._sample is None
            is_bet_on = can_be_bet_on(objective) or on_traces
            if is_bet_on and isinstance(indicator, Threshold | Ratio):
                load_events(self._database, indicator, objective.group_by)
                found |= read_bets(self._database, objective)
        if self._arms is not None and self._arms.by is None:
            self.arms()
            has_limits = bool(latency_limits(self._objectives))
            found |= read_arm_bets(self._database, self._arms, has_limits=has_limits)
        return found

    def accounting(self) -> Accounting:
        """Return where every intended request and every expected trace went."""
        asked, required = self._folder.spans_path.is_file(), required_roles(self._objectives)
        found = read_accounting(
            self._database, self._counters, asked=asked, complete=complete(required)
        )
        found = with_losses(
            *(self._database, found, self._folder, self._manifest, required),
            asked=asked,
            oracle=self._oracle,
        )
        found = replace(found, sampling=self._sampling)
        if self._sample is None:
            return found
        everything = scalar_int(self._database, "SELECT count(*) FROM population")
        return replace(found, strategy="counts", population=everything)

    def contract(self) -> tuple[ContractGap, ...]:
        """Return the attributes that spans of the run owe and lack."""
        return read_contract(self._database)

    def validity(self) -> Validity:
        """Return the generator's numbers; `problems` names faults in the data only."""
        return read_validity(self._database, self._folder, self._counters)

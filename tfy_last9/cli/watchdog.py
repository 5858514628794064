"""Ends the load as soon as more requests could not change the answer (`early-stop`, `on-inconclusive: extend`).

Looks at the ledger in the gate's own process, seldom enough to cost a tenth of one core at most.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence

from tfy_last9.adapters.runfolder.folder import RunFolder
from tfy_last9.adapters.runfolder.prefix import Prefix, read_prefix
from tfy_last9.arrivals.schedule import planned
from tfy_last9.cli.console import Console
from tfy_last9.cli.trace_looks import TraceLooks
from tfy_last9.errors import TfyError
from tfy_last9.judge import canary
from tfy_last9.judge.early import Proof, Stakes, proven_failure, proven_pass
from tfy_last9.judge.looks import arms_at_each_look, at_each_look, looks_after
from tfy_last9.judge.multiplicity import Claim
from tfy_last9.judge.planned import left_open
from tfy_last9.model.objective import Objective
from tfy_last9.model.run import EarlyStop
from tfy_last9.model.scenario import OnInconclusive, Scenario
from tfy_last9.model.verdict import State

LOOK_EVERY_S = 2.0
REST = 10
"""Pause after a look, as a multiple of what the look took."""


class EnoughIsKnown(TfyError):
    """The load was ended because the answer is known; not an error, but the way out of watching."""

    def __init__(self, stop: EarlyStop) -> None:
        super().__init__(stop.message)
        self.stop = stop


class Watchdog:
    """Call `look` often; it looks when it is time to, and raises `EnoughIsKnown`."""

    def __init__(
        self,
        folder: RunFolder,
        scenario: Scenario,
        objectives: Sequence[Objective],
        console: Console,
        looks: TraceLooks | None = None,
    ) -> None:
        self._folder = folder
        self._scenario = scenario
        self._objectives = at_each_look(objectives, scenario.policy)
        arms = scenario.arms
        self._arms = None if arms is None else arms_at_each_look(arms, scenario.policy)
        self._looks = looks
        # The error is shared as the verdict will share it, whether or not spans are at hand.
        with_traces = not folder.read_manifest().client_only
        self._stakes = Stakes(self._objectives, scenario, with_traces=with_traces)
        self._console = console
        self._planned = planned(scenario).total()
        self._boundaries = _boundaries(scenario)
        self._next = time.monotonic() + LOOK_EVERY_S

    @property
    def is_needed(self) -> bool:
        """Tell whether the scenario asks for it."""
        return self._scenario.policy.early_stop or bool(self._boundaries)

    def look(self) -> None:
        """Look if it is time; raises `EnoughIsKnown` when the load may end."""
        started = time.monotonic()
        if not self.is_needed or started < self._next:
            return
        prefix = read_prefix(self._folder, self._scenario, self._objectives)
        took_s = time.monotonic() - started
        self._next = time.monotonic() + max(LOOK_EVERY_S, REST * took_s)
        proof = None if prefix is None else self._proof(prefix)
        if prefix is None or proof is None:
            return
        saved = self._planned - prefix.requests
        tokens = saved * prefix.tokens_per_request
        text = (
            f"stopped early: {proof.message}, after {prefix.requests:,} of {self._planned:,} requests;"
            f" about {tokens:,} tokens were not spent"
        )
        raise EnoughIsKnown(EarlyStop(text, saved, tokens, proof.proven))

    def _proof(self, prefix: Prefix) -> Proof | None:
        settled = None if self._looks is None else self._looks.found
        if self._scenario.policy.early_stop:
            bets = self._sure_bets(prefix) | ({} if settled is None else dict(settled.bets))
            tallies = prefix.tallies | ({} if settled is None else settled.tallies)
            proof = proven_failure(self._stakes, bets) or proven_pass(self._stakes, tallies)
            if proof is not None:
                return proof
        return self._planned_look(prefix)

    def _sure_bets(self, prefix: Prefix) -> dict[Claim, float]:
        if self._arms is None:
            return dict(prefix.bets)
        compared = canary.comparisons(prefix.arms, self._arms)
        return canary.sure_bets(prefix.bets, compared)

    def _planned_look(self, prefix: Prefix) -> Proof | None:
        """Look once at the end of each stretch; None when it is not over, or leaves something open."""
        if not self._boundaries or prefix.requests < self._boundaries[0]:
            return None
        self._boundaries = self._boundaries[1:]
        undecided = left_open(self._objectives, prefix.tallies, self._arms, prefix.arms)
        if not undecided:
            return Proof(State.PASS, "nothing is left undecided on the client's side")
        self._console.say(
            f"look: {len(undecided)} finding(s) undecided, first {undecided[0]}; sending on"
        )
        return None


def _boundaries(scenario: Scenario) -> tuple[int, ...]:
    """Return the numbers of requests after which a planned look is due; the end itself needs none."""
    if scenario.policy.on_inconclusive is not OnInconclusive.EXTEND:
        return ()
    per_phase: Counter[str] = Counter()
    for (name, _), count in planned(scenario).items():
        per_phase[name] += count
    ends = looks_after(scenario, scenario.policy.looks)[:-1]
    found, sent = [], 0
    for phase in scenario.phases:
        sent += per_phase[phase.name]
        if phase.name in ends:
            found.append(sent)
    return tuple(found)

"""Requests of a closed loop: there is no schedule, a user asks when its answer before is complete.

So a slow gateway is asked less often, and its stalls are seen by few requests ("coordinated omission",
Gil Tene, "How NOT to measure latency"): every report says that a run was closed. The mix of targets is
exact all the same, block by block and per worker. Pure: time comes in from outside.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from tfy_last9.arrivals.arms import arm_choice
from tfy_last9.arrivals.mix import mixed
from tfy_last9.arrivals.schedule import NS_PER_S, Arrival
from tfy_last9.model.scenario import Phase, Scenario
from tfy_last9.model.turns import turns

MCP_CALL_TURNS = 3
"""Requests of one `mcp_call`: `initialize`, the notification that ends the handshake, and the call."""


class ClosedLoop:
    """What one worker's users send, in the order in which they ask."""

    def __init__(self, scenario: Scenario, worker: int, workers: int) -> None:
        self._scenario = scenario
        self._worker = worker
        self._workers = workers
        weights = [target.weight for target in scenario.targets]
        self._mix = mixed(weights, Random(f"{scenario.seed}/mix/{worker}"))
        self._choose_arms = arm_choice(scenario)
        self._pauses = _pauses(scenario, Random(f"{scenario.seed}/think/{worker}"))
        self._lengths = [
            [turns(target, prompt) for prompt in scenario.prompts] for target in scenario.targets
        ]
        self._block = max(MCP_CALL_TURNS if self._has_mcp else 1, *map(max, self._lengths))
        self._taken = 0

    @property
    def _has_mcp(self) -> bool:
        return any(target.mcp is not None for target in self._scenario.targets)

    def take(
        self, since_ns: int, target: int | None = None, count: int | None = None
    ) -> Arrival | None:
        """Return what a user that asks now opens, `since_ns` after zero; None when the time is over.

        `target`, and of how many requests it consists, is given by users that choose it themselves.
        """
        phase = phase_at(self._scenario, since_ns / NS_PER_S)
        if phase is None:
            return None
        number = self._taken * self._workers + self._worker
        self._taken += 1
        chosen = next(self._mix) if target is None else target
        (arm,) = self._choose_arms(chosen)
        prompt = number % len(self._scenario.prompts)
        length = self._lengths[chosen][prompt] if count is None else count
        seq = number * self._block  # turns of a conversation are numbered one after the other
        return Arrival(seq, since_ns, phase.name, chosen, prompt, arm, number, 0, length)

    def pause_s(self) -> float:
        """Return how long a user thinks before it asks again, seconds."""
        return next(self._pauses)


def phase_at(scenario: Scenario, since_s: float) -> Phase | None:
    """Return the phase at a time after zero, seconds; None before and after the run."""
    if since_s < 0:
        return None
    for phase in scenario.phases:
        if since_s < phase.duration_s:
            return phase
        since_s -= phase.duration_s
    return None


def _pauses(scenario: Scenario, random: Random) -> Iterator[float]:
    while True:
        if scenario.think_s == 0 or scenario.think_even:
            yield scenario.think_s
        else:
            yield random.expovariate(1 / scenario.think_s)

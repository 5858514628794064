"""The schedule: due instant, phase and target of every arrival of a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from random import Random
from typing import NamedTuple

from tfy_last9.arrivals.arms import arm_choice
from tfy_last9.arrivals.curve import due_times
from tfy_last9.arrivals.mix import mixed
from tfy_last9.model.scenario import ArrivalKind, Phase, Scenario
from tfy_last9.model.turns import turns

NS_PER_S = 1_000_000_000


class Arrival(NamedTuple):
    """One intended request: an arrival of its own, or a turn of the conversation that one began."""

    seq: int
    """0-based over the whole run and all workers."""
    due_ns: int
    """Since schedule zero; of a later turn, when its conversation began: it follows the answer before it."""
    phase: str
    target: int
    """Index into the scenario's targets."""
    prompt: int
    """Index into the scenario's prompts."""
    arm: int | None = None
    """Index into the scenario's `sides`; None without arms."""
    number: int = 0
    """Which arrival of the schedule this is, or belongs to; mirrored arms share one."""
    turn: int = 0
    """0 opens a conversation."""
    turns: int = 1
    """Requests of the conversation."""

    def at_turn(self, turn: int) -> Arrival:
        """Return a later turn of the conversation that this opens."""
        return self._replace(seq=self.seq + turn, turn=turn)


def schedule(scenario: Scenario) -> Iterator[Arrival]:
    """Yield every arrival of the run in order of due time; none for a closed loop, which has no schedule."""
    if scenario.is_closed:
        return
    gaps = Random(f"{scenario.seed}/gaps")
    targets = mixed([target.weight for target in scenario.targets], Random(f"{scenario.seed}/mix"))
    choose_arms = arm_choice(scenario)
    lengths = [
        [turns(target, prompt) for prompt in scenario.prompts] for target in scenario.targets
    ]
    prompts = len(scenario.prompts)
    seq = 0
    for number, (due_s, phase) in enumerate(_due(scenario, gaps)):
        due_ns = round(due_s * NS_PER_S)
        target, prompt = next(targets), number % prompts
        count = lengths[target][prompt]
        for arm in choose_arms(target):
            opening = Arrival(seq, due_ns, phase.name, target, prompt, arm, number, 0, count)
            yield opening
            for turn in range(1, count):
                yield opening.at_turn(turn)
            seq += count


def dealt(scenario: Scenario, workers: int) -> Iterator[tuple[int, Arrival]]:
    """Yield every arrival with the worker that sends it: conversations in turn, each to one worker."""
    conversations = -1
    for arrival in schedule(scenario):
        conversations += arrival.turn == 0
        yield conversations % workers, arrival


def share(scenario: Scenario, index: int, workers: int) -> Iterator[Arrival]:
    """Yield the arrivals that worker `index` of `workers` sends."""
    if workers == 1:
        return schedule(scenario)
    return (arrival for worker, arrival in dealt(scenario, workers) if worker == index)


def planned(scenario: Scenario) -> Counter[tuple[str, str]]:
    """Count the planned requests per (phase name, target name): exact, since the schedule is seeded."""
    return Counter(
        (arrival.phase, scenario.targets[arrival.target].name) for arrival in schedule(scenario)
    )


def _due(scenario: Scenario, gaps: Random) -> Iterator[tuple[float, Phase]]:
    """Yield due times since schedule zero, in seconds, with the phase each falls into."""
    whole = iter(scenario.offsets_s)
    if scenario.curve is not None:
        whole = due_times(scenario.curve, gaps)
    next_s = next(whole, None) if scenario.is_shaped else None
    start_s = 0.0
    for phase in scenario.phases:
        end_s = start_s + phase.duration_s
        if not scenario.is_shaped:
            for due_s in _due_times(scenario.arrivals, phase, gaps):
                yield start_s + due_s, phase
        while next_s is not None and next_s < end_s:
            yield next_s, phase
            next_s = next(whole, None)
        start_s = end_s


def _due_times(kind: ArrivalKind, phase: Phase, random: Random) -> Iterator[float]:
    """Yield due times in [0, duration) of one phase, in seconds.

    Constant arrivals sit in the middle of their slot. Poisson gaps are exponential with mean 1/rate;
    each phase starts afresh, which the memoryless property allows.
    """
    if kind is ArrivalKind.CONSTANT:
        for number in range(round(phase.duration_s * phase.rate_per_s)):
            yield (number + 0.5) / phase.rate_per_s
        return
    due_s = random.expovariate(phase.rate_per_s)
    while due_s < phase.duration_s:
        yield due_s
        due_s += random.expovariate(phase.rate_per_s)

"""Which arm an arrival goes to: equal shares within each target, in an order that is random but seeded."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from tfy_last9.arrivals.mix import mixed
from tfy_last9.model.scenario import Scenario, Target

ArmChoice = Callable[[int], tuple[int | None, ...]]
"""From a target to the arms that its next arrival goes to, in sending order."""


def arm_choice(scenario: Scenario) -> ArmChoice:
    """Return the choice of one walk over the schedule; it remembers what it dealt out.

    Mirrored arrivals go to both arms at the same instant, the first of the two at random. Others go to
    one, so that each two arrivals of a target hold one of each arm.
    """
    if scenario.arms is None or scenario.arms.by is not None:
        return lambda _: (None,)
    if scenario.arms.mirror:
        random = Random(f"{scenario.seed}/mirror")
        return lambda _: (0, 1) if random.getrandbits(1) else (1, 0)
    dealt = [mixed([1, 1], Random(f"{scenario.seed}/arms/{one.name}")) for one in scenario.targets]
    return lambda target: (next(dealt[target]),)


def destinations(scenario: Scenario) -> dict[tuple[int, int | None], tuple[Target, str | None]]:
    """Return target and arm name for every (target, arm) of the schedule."""
    found: dict[tuple[int, int | None], tuple[Target, str | None]] = {}
    for number, target in enumerate(scenario.targets):
        found[number, None] = target, None
        for side, arm in enumerate(scenario.sides):
            found[number, side] = arm.applied_to(target), arm.name
    return found

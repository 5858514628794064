"""Which arm an arrival goes to: equal shares within each target, in an order that is random but seeded."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from tfy_last9.arrivals.mix import mixed
from tfy_last9.model.scenario import Scenario

ArmChoice = Callable[[int], tuple[int | None, ...]]
"""From a target to the arms that its next arrival goes to, in sending order."""


def arm_choice(scenario: Scenario) -> ArmChoice:
    """Return the choice of one walk over the schedule; it remembers what it dealt out.

    Mirrored arrivals go to both arms at the same instant, the first of the two at random. Others go to
    one, so that each two arrivals of a target hold one of each arm.
    """
    if scenario.arms is None:
        return lambda _: (None,)
    if scenario.arms.mirror:
        random = Random(f"{scenario.seed}/mirror")
        return lambda _: (0, 1) if random.getrandbits(1) else (1, 0)
    dealt = [mixed([1, 1], Random(f"{scenario.seed}/arms/{one.name}")) for one in scenario.targets]
    return lambda target: (next(dealt[target]),)

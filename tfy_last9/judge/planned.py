"""What a planned look leaves open: the load ends at the first look that decides everything it can see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tfy_last9.judge.canary import compare_alone
from tfy_last9.judge.decide import decide
from tfy_last9.judge.early import can_be_bet_on
from tfy_last9.model.canary import ArmTally
from tfy_last9.model.objective import Objective
from tfy_last9.model.scenario import Arms
from tfy_last9.model.verdict import State, Tally


def left_open(
    objectives: Sequence[Objective],
    tallies: Mapping[str, tuple[Tally, ...]],
    arms: Arms | None,
    counted: Sequence[ArmTally],
) -> tuple[str, ...]:
    """Return in words what is undecided, objectives first.

    Objectives and arms have the confidence of a single look (`judge.looks`); `counted` are both arms so far.
    """
    found = [
        finding.message
        for one in objectives
        if can_be_bet_on(one)
        for finding in (decide(one, tally) for tally in tallies[one.name])
        if finding.state is State.INCONCLUSIVE
    ]
    return (*found, *_of_arms(arms, counted))


def _of_arms(arms: Arms | None, counted: Sequence[ArmTally]) -> tuple[str, ...]:
    if arms is None:
        return ()
    if not counted:
        return ("the arms can only be told apart at the end",)
    compared = compare_alone(counted, arms)
    undecided = {State.INCONCLUSIVE, State.NO_DATA}
    return tuple(f"{one.objective}, {one.message}" for one in compared if one.state in undecided)

"""Traces that are missing: at a constant rate, or because the scenario says that they are sampled.

Sampling and drop rules lose traces evenly; a back end that fell over loses them in one stretch. Pearson's
chi-square test over tenths of the run tells which of the two it looks like.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from tfy_last9.judge.phrases import percent
from tfy_last9.model.objective import Completeness, Objective
from tfy_last9.model.verdict import Accounting, Tally
from tfy_last9.stats.binomial import at_most

CHI_SQUARE_95 = (0.0, 3.841, 5.991, 7.815, 9.488, 11.070, 12.592, 14.067, 15.507, 16.919)
"""95 % points of the chi-square distribution by degrees of freedom, 0 to 9."""
LEAST_LOST = 10
"""Fewer lost traces have no pattern."""
LEAST_PARTS = 4
SUSPECT = 0.01
"""A declared share explains missing traces unless so few had a smaller chance than this."""


def steady_loss(found: Accounting) -> str | None:
    """Return a warning when undeclared losses come evenly; None otherwise. It never offers to excuse them."""
    if found.sampling is not None or not is_steady(found.loss_profile):
        return None
    share = found.lost / found.expected_traces
    return (
        f"{percent(share)} of the traces are missing at a constant rate over the whole run. A full queue"
        " at an exporter or collector loses them so, and so do a drop rule and sampling; look there"
        " first (docs/last9.md). The losses of this run stay losses"
    )


def is_steady(losses: Sequence[tuple[int, int]]) -> bool:
    """Tell whether losses (expected, lost per stretch of the run) are compatible with one rate."""
    parts = [(expected, lost) for expected, lost in losses if expected]
    expected, lost = sum(part[0] for part in parts), sum(part[1] for part in parts)
    if len(parts) < LEAST_PARTS or lost < LEAST_LOST or lost == expected:
        return False
    rate = lost / expected
    spread = sum((bad - n * rate) ** 2 / (n * rate * (1.0 - rate)) for n, bad in parts)
    return spread <= CHI_SQUARE_95[min(len(parts), len(CHI_SQUARE_95)) - 1]


def explained(
    objectives: Iterable[Objective],
    tallies: Mapping[str, tuple[Tally, ...]],
    sampling: float | None,
) -> dict[str, tuple[Tally, ...]]:
    """Return the tallies with the missing traces that a declared sampling explains taken out."""
    found = dict(tallies)
    if sampling is not None:
        for objective in objectives:
            if isinstance(objective.indicator, Completeness):
                shown = found.get(objective.name, ())
                found[objective.name] = tuple(_explained(tally, sampling) for tally in shown)
    return found


def _explained(tally: Tally, sampling: float) -> Tally:
    """Exclude what sampling takes; where too few are left to be chance, the excess stays bad."""
    seen = tally.total - tally.unseen
    if at_most(seen, tally.total, sampling) >= SUSPECT:
        excused = tally.unseen
    else:
        excused = min(tally.unseen, round((1.0 - sampling) * tally.total))
    return replace(
        tally,
        total=tally.total - excused,
        bad=tally.bad - excused,
        unseen=tally.unseen - excused,
        excluded=tally.excluded + excused,
    )

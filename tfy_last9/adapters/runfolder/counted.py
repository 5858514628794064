"""Tallies of a run that Last9 counted: its numbers in place of those of the sample."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tfy_last9.model.objective import Completeness, Objective, Ratio, Threshold, reads_last9
from tfy_last9.model.verdict import Tally

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tfy_last9.model.run import Counted


def needs_every_trace(objective: Objective) -> bool:
    """Tell whether a sample would falsify an objective: sums, composites, time slices."""
    if not reads_last9(objective.indicator):
        return False
    plain = isinstance(objective.indicator, Threshold | Ratio | Completeness)
    return not plain or objective.slicing is not None


def with_counts(
    objective: Objective, tallies: Sequence[Tally], counts: Iterable[Counted]
) -> tuple[Tally, ...]:
    """Return the tallies with the counts of Last9, where it counted; exemplars stay those of the sample."""
    mine = {count.group: count for count in counts if count.objective == objective.name}
    if not mine:
        return tuple(tallies)
    found = []
    for tally in tallies:
        values = tuple(value for _, value in tally.group)
        count = mine.pop(values, None)
        found.append(_replaced(tally, count) if count else _silent(tally))
    for values, count in sorted(mine.items()):
        group = tuple(zip(objective.group_by, values, strict=True))
        found.append(_replaced(_empty(group), count))
    return tuple(found)


def of_population(
    tallies: Iterable[Tally], populations: Mapping[tuple[str, ...], int]
) -> tuple[Tally, ...]:
    """Return the tallies of a census as samples; what was not looked up is not "excluded"."""
    found = []
    for tally in tallies:
        values = tuple(value for _, value in tally.group)
        everything = max(populations.get(values, 0), tally.total)
        excluded = max(0, tally.excluded - (everything - tally.total))
        found.append(replace(tally, population=everything, excluded=excluded))
    return tuple(found)


def _replaced(tally: Tally, count: Counted) -> Tally:
    return replace(
        tally,
        total=count.total,
        bad=count.bad,
        excluded=count.excluded,
        quantile=None,
        slices=None,
    )


def _silent(tally: Tally) -> Tally:
    return replace(tally, total=0, bad=0, excluded=0, quantile=None, slices=None)


def _empty(group: tuple[tuple[str, str], ...]) -> Tally:
    return Tally(group, expected=False, total=0, bad=0, excluded=0, quantile=None, exemplars=())


def with_unseen(
    tallies: Iterable[Tally], unseen: Mapping[tuple[str, ...], int]
) -> tuple[Tally, ...]:
    """Return the tallies of a census with the traces of which nothing was found."""
    return tuple(
        replace(tally, unseen=unseen.get(tuple(value for _, value in tally.group), 0))
        for tally in tallies
    )

"""Production mode: which objectives live traces alone can answer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from tfy_last9.model.objective import (
    Book,
    Completeness,
    Condition,
    Objective,
    Ratio,
    Scalar,
    Simple,
    Threshold,
    parts,
)
from tfy_last9.model.run import LastWeek
from tfy_last9.model.trace import Role

FEWEST_CALLS = 10
"""With so many last week, chance alone makes a provider silent in one window of twenty thousand (Poisson)."""
CLIENT_FACTS = frozenset(
    {
        *("client_overhead_ms", "ttft_gap_ms", "token_gap", "ingestion_lag_ms", "status_agrees"),
        *("missing_traces", "incomplete_traces", "late_traces", "join_conflicts"),
        *(
            "target",
            "arm",
            "phase",
            "outcome",
            "error_type",
            "finish_reason",
            "size_band",
            "worker",
        ),
        *("cache_status", "resolved_model", "check_failed"),
    }
)
"""Fields and labels that are the client's half of a story: without a ledger nobody tells it."""


def needs_ledger(objective: Objective) -> bool:
    """Tell whether an objective cannot be judged from traces alone."""
    named = {name for part in parts(objective.indicator) for name in _names(part)}
    return None in named or bool((named | set(objective.group_by)) & CLIENT_FACTS)


def asks_last_week(objective: Objective) -> bool:
    """Tell whether only the past can say which providers an objective should show.

    Counts of last week hold every call: a condition on anything but the status would count others.
    """
    indicator = objective.indicator
    return (
        objective.group_by[:1] == ("provider",)
        and not objective.expect
        and isinstance(indicator, Threshold | Ratio)
        and indicator.population.span is Role.MODEL
        and all(condition.field == "status" for condition in indicator.population.where)
    )


def with_last_week(
    objectives: Iterable[Objective], last_week: LastWeek | None
) -> tuple[Objective, ...]:
    """Return the objectives, each expecting who answered last week where nothing else says whom."""
    if last_week is None:
        return tuple(objectives)
    steady = tuple(one.provider for one in last_week.calls if one.total >= FEWEST_CALLS)
    return tuple(replace(one, expect=steady) if asks_last_week(one) else one for one in objectives)


def told(last_week: LastWeek) -> str:
    """Return in words whom last week lets expect."""
    if not last_week.calls:
        return (
            "the same window a week ago shows no provider either, so that one that vanished is not"
            " missed: name them in the annotation tfy-last9/expect"
        )
    seen = ", ".join(f"{one.provider} {one.total:,}" for one in last_week.calls)
    return (
        f"calls in the same window a week ago: {seen}; who had at least {FEWEST_CALLS} then and none"
        " now is NO_DATA"
    )


def _names(part: Simple | Scalar) -> Iterator[str | None]:
    """Yield the fields and labels a part asks for; None for a part that counts ledger rows."""
    if isinstance(part, Completeness):
        yield None
        return
    yield from _fields(_where(part))
    if (part.book if isinstance(part, Scalar) else part.population.book) is Book.LEDGER:
        yield None
    match part:
        case Scalar():
            yield part.name
        case Threshold():
            yield part.field
        case Ratio():
            yield from _fields(part.bad)
            if part.good is not None:
                yield from _fields(part.good.where)
                yield from (limit.field for limit in part.good.limits)
                yield from part.good.has


def _where(part: Threshold | Ratio | Scalar) -> tuple[Condition, ...]:
    return part.where if isinstance(part, Scalar) else part.population.where


def _fields(conditions: tuple[Condition, ...]) -> Iterator[str]:
    return (condition.field for condition in conditions)

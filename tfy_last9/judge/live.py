"""Production mode: which objectives live traces alone can answer."""

from __future__ import annotations

from collections.abc import Iterator

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

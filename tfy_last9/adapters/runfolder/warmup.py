"""Where the warm-up ends, by the ledger: until when its requests ran, and which calls are not its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tfy_last9.adapters.runfolder.database import literal, open_database, text_list
from tfy_last9.model.request import Outcome
from tfy_last9.model.trace import Role

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from tfy_last9.model.trace import Span

_GAVE_UP = (Outcome.TIMEOUT, Outcome.ABORTED, Outcome.STREAM_BROKEN)
_CALL_TYPES = frozenset({"model", "llm"})

LAST = """
SELECT max(epoch_ns + coalesce(finished_ns, started_ns)),
       count(*) FILTER (outcome IN ({gave_up}))
FROM read_parquet({ledger})
WHERE NOT list_contains({judged}, phase) AND outcome <> {missed} AND started_ns IS NOT NULL
"""

NAMED = """
WITH rows AS (
    SELECT list_contains({judged}, phase) AS is_judged, request_id, trace_id, client_trace_id
    FROM read_parquet({ledger})
)
SELECT name, bool_or(is_judged) FROM (
    SELECT trace_id AS name, is_judged FROM rows
    UNION ALL SELECT client_trace_id, is_judged FROM rows
    UNION ALL SELECT request_id, is_judged FROM rows
) WHERE name IN (SELECT unnest($names)) GROUP BY name
"""


@dataclass(frozen=True, slots=True)
class WarmUp:
    """The requests that are not judged."""

    last_ns: int | None
    """UTC instant at which the last of them ended; None when there are none."""
    given_up: int
    """Requests whose client gave up: the gateway may have gone on with them."""


def warm_up(ledger: Path, judged_phases: Sequence[str]) -> WarmUp:
    """Return what the ledger says about the requests of the phases that are not judged."""
    query = LAST.format(
        ledger=literal(ledger),
        judged=text_list(tuple(judged_phases)),
        missed=literal(Outcome.MISSED),
        gave_up=", ".join(literal(outcome) for outcome in _GAVE_UP),
    )
    with open_database() as database:
        last_ns, given_up = database.execute(query).fetchone() or (None, 0)
    return WarmUp(last_ns, given_up)


def judged_calls(
    ledger: Path, judged_phases: Sequence[str], spans: Iterable[Span], since_ns: int
) -> tuple[Span, ...]:
    """Return the calls of models that judged requests caused, by the trace or the id of the request.

    A call that neither names belongs to who was due when it started: `since_ns` is the end of the warm-up.
    """
    listed = tuple(spans)
    requests = {span.trace_id: span.request_id for span in listed if span.role is Role.ROOT}
    names = {*requests, *(span.trace_id for span in listed), *requests.values()} - {None}
    query = NAMED.format(ledger=literal(ledger), judged=text_list(tuple(judged_phases)))
    with open_database() as database:
        found = database.execute(query, {"names": sorted(filter(None, names))}).fetchall()
    known: dict[str | None, bool] = dict(found)

    def is_judged(span: Span) -> bool:
        by_request = known.get(requests.get(span.trace_id), span.start_ns >= since_ns)
        return known.get(span.trace_id, by_request)

    return tuple(span for span in listed if _is_call(span) and is_judged(span))


def _is_call(span: Span) -> bool:
    """Tell what the counting queries count: Model spans that say so themselves, and asked somebody."""
    says_so = str(span.attributes.get("tfy.span_type", "")).lower() in _CALL_TYPES
    return says_so and span.role is Role.MODEL

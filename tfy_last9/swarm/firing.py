"""What Locust's own statistics are told: each request once, time to first token beside it."""

from __future__ import annotations

from locust.env import Environment

from tfy_last9.model.request import LedgerRow, Outcome

_NS_PER_MS = 1_000_000


class Refused(Exception):
    """A request that did not end well; its text is what Locust groups failures by."""


def tell_locust(environment: Environment, row: LedgerRow) -> None:
    """Fire one `request` event per request; time to first token as a side entry, so that totals stay right."""
    if row.finished_ns is None:
        return
    failure = None
    if row.outcome != Outcome.OK:
        failure = Refused(f"{row.outcome}: {row.error_type}")
    environment.events.request.fire(
        request_type=row.api.upper(),
        name=row.target,
        response_time=(row.finished_ns - row.due_ns) / _NS_PER_MS,
        response_length=row.bytes_in or 0,
        exception=failure,
        context={},
    )
    if row.first_token_ns is not None:
        entry = environment.stats.get(row.target, "TTFT")
        entry.log((row.first_token_ns - row.due_ns) / _NS_PER_MS, 0)

"""What Locust's own statistics are told: each request once, time to first token beside it."""

from __future__ import annotations

from locust.env import Environment

from tfy_last9.model.request import LedgerRow, Outcome

_NS_PER_MS = 1_000_000


class Refused(Exception):
    """A request that did not end well; its text is what Locust groups failures by."""


def tell_locust(environment: Environment, row: LedgerRow) -> None:
    """Fire one `request` event per request; time to first token and largest gap as side entries.

    Side entries leave Locust's totals alone.
    """
    if row.finished_ns is None:
        return
    failure = None
    if row.outcome != Outcome.OK:
        failure = Refused(f"{row.outcome}: {row.error_type}")
    elif row.check_failed is not None:
        failure = Refused(f"check failed: {row.check_failed}")
    environment.events.request.fire(
        request_type=row.api.upper(),
        name=_title(row),
        response_time=(row.finished_ns - row.due_ns) / _NS_PER_MS,
        response_length=row.bytes_in or 0,
        exception=failure,
        context={},
    )
    if row.first_token_ns is not None:
        entry = environment.stats.get(row.target, "TTFT")
        entry.log((row.first_token_ns - row.due_ns) / _NS_PER_MS, 0)
    if row.max_gap_ns is not None:
        environment.stats.get(row.target, "GAP").log(row.max_gap_ns / _NS_PER_MS, 0)


def _title(row: LedgerRow) -> str:
    """Return what Locust groups statistics by: tools of an MCP server are not alike."""
    asked = row.tool or row.operation
    return row.target if asked is None else f"{row.target} {asked}"

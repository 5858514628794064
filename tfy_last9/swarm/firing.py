"""What Locust's own statistics are told: each request once, time to first token beside it."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from typing import Any

from locust.env import Environment
from locust.stats import StatsEntry, bucket_response_time

from tfy_last9.model.request import LedgerRow, Outcome

_NS_PER_MS = 1_000_000
Title = tuple[str, str]
"""Name and kind of an entry of Locust's statistics."""


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


class Tally:
    """Requests that Locust is told of together: where nobody else listens, an event for each is lost labour."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._times_ns: dict[Title, list[int]] = defaultdict(list)
        """Of requests, and of the side entries."""
        self._bytes: Counter[Title] = Counter()
        self._handlers: list[Any] = []
        self._is_enough = True
        """What was found out about `_handlers`."""

    def is_enough(self) -> bool:
        """Tell whether nobody but Locust's own statistics listens to `events.request`."""
        handlers: list[Any] = self._environment.events.request._handlers  # noqa: SLF001 - there is no other way to ask
        if handlers != self._handlers:
            self._handlers = handlers.copy()
            self._is_enough = all(one.__module__ == "locust.runners" for one in handlers)
        return self._is_enough

    def take(self, row: LedgerRow) -> None:
        """Count a request that is over, or tell Locust of it at once if it did not end well."""
        if row.outcome != Outcome.OK or row.check_failed is not None or row.finished_ns is None:
            tell_locust(self._environment, row)
            return
        title = _title(row), row.api.upper()
        self._times_ns[title].append(row.finished_ns - row.due_ns)
        self._bytes[title] += row.bytes_in or 0
        if row.first_token_ns is not None:
            self._times_ns[row.target, "TTFT"].append(row.first_token_ns - row.due_ns)
        if row.max_gap_ns is not None:
            self._times_ns[row.target, "GAP"].append(row.max_gap_ns)

    def flush(self) -> None:
        """Add what was counted to Locust's statistics, as its master adds what workers report."""
        stats = self._environment.stats
        for title, times_ns in self._times_ns.items():
            if times_ns:
                entry = _entry(times_ns, self._bytes[title])
                stats.get(*title).extend(entry)
                if title[1] not in ("TTFT", "GAP"):
                    stats.total.extend(entry)
                times_ns.clear()
        self._bytes.clear()


def _entry(times_ns: list[int], size: int) -> StatsEntry:
    """Return statistics of requests that all ended just now."""
    now_s, times_ms = time.time(), [time_ns / _NS_PER_MS for time_ns in times_ns]
    entry = StatsEntry(None, "", "")
    entry.num_requests = len(times_ms)
    entry.last_request_timestamp = now_s
    entry.num_reqs_per_sec[int(now_s)] = len(times_ms)
    entry.total_response_time = sum(times_ms)
    entry.min_response_time, entry.max_response_time = min(times_ms), max(times_ms)
    entry.response_times.update(Counter(map(bucket_response_time, times_ms)))
    entry.total_content_length = size
    return entry


def _title(row: LedgerRow) -> str:
    """Return what Locust groups statistics by: tools of an MCP server are not alike."""
    asked = row.tool or row.operation
    return row.target if asked is None else f"{row.target} {asked}"

"""What is made to go wrong in this process: faults that were asked for, and the rate limit.

Every fault that strikes is journalled, so that a test can compare what a client reports with what
truly happened to it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from email.utils import formatdate
from functools import partial
from http import HTTPStatus

from tfy_last9.standins.faults import Fault, FaultSet
from tfy_last9.standins.journal import Journal
from tfy_last9.standins.last9.message import HTML, Refusal, Request
from tfy_last9.standins.last9.settings import RetryAfter, Settings
from tfy_last9.standins.last9.span import SpanRow

RETRY_AFTER_S = 1
BAD_GATEWAY = "<html><head><title>502 Bad Gateway</title></head><body>502</body></html>"
SERVER_ERRORS = (
    partial(Refusal, HTTPStatus.SERVICE_UNAVAILABLE, "temporarily unavailable"),
    partial(Refusal, HTTPStatus.BAD_GATEWAY, BAD_GATEWAY, HTML),
    partial(Refusal, HTTPStatus.INTERNAL_SERVER_ERROR, "internal error"),
    partial(Refusal, HTTPStatus.GATEWAY_TIMEOUT, "upstream request timeout"),
)
"""What `last9_5xx` answers, in turn."""

Rows = tuple[SpanRow, ...]


class Disturbance:
    """The faults in force, asked wherever one may take effect."""

    def __init__(
        self, settings: Settings, journal: Journal, seed: int, clock: Callable[[], float]
    ) -> None:
        self._settings = settings
        self._journal = journal
        self._seed = seed
        self._clock = clock
        self._allowance = float(settings.rate_limit_per_s)
        self._refilled_s = clock()
        self._errors = 0
        self.replace(())

    @property
    def faults(self) -> tuple[Fault, ...]:
        """The faults in force."""
        return self._set.faults

    def replace(self, faults: Iterable[Fault]) -> None:
        """Put other faults in force; events are counted anew."""
        self._set = FaultSet(faults, self._seed)
        self._lives: dict[str, float | None] = {}

    async def api_call(self, request: Request) -> None:
        """Delay or refuse a call of the API; raises Refusal."""
        slow = self._set.strike("last9_slow")
        if slow is not None:
            self._note(slow, path=request.path, status=None)
            await asyncio.sleep(slow.delay_s or 0.0)
        limited = self._set.strike("last9_429")
        if limited is not None or self._is_over_rate():
            if limited is not None:
                self._note(limited, path=request.path, status=429)
            raise self._too_many()
        failing = self._set.strike("last9_5xx")
        if failing is not None:
            refusal = SERVER_ERRORS[self._errors % len(SERVER_ERRORS)]()
            self._errors += 1
            self._note(failing, path=request.path, status=int(refusal.status))
            raise refusal

    def page_cap(self) -> int | None:
        """Return the number of rows to which one answer is cut, if it is."""
        fault = self._set.strike("last9_page_cap")
        return fault.count if fault is not None else None

    def cut_life_s(self, token_id: str) -> float | None:
        """Return after how many seconds an access token is refused, if earlier than it promises."""
        if token_id not in self._lives:
            fault = self._set.strike("token_expiry")
            self._lives[token_id] = fault.delay_s if fault is not None else None
        return self._lives[token_id]

    def refused_export(self, rows: Rows) -> str | None:
        """Return why an export is refused, if it is."""
        fault = self._set.strike("otlp_reject")
        if fault is None:
            return None
        traces = sorted({row.trace_id for row in rows})
        self._journal.write("export_rejected", fault=str(fault), spans=len(rows), trace_ids=traces)
        return f"refused by the sandbox fault {fault}"

    def stored(self, rows: Rows) -> Rows:
        """Return the spans to store: some lost, some twice."""
        kept = self._after_loss(rows)
        twice = self._struck("duplicate_spans", kept)
        if twice:
            self._journal.write("spans_duplicated", span_ids=[row.span_id for row in twice])
        return (*kept, *twice)

    def _after_loss(self, rows: Rows) -> Rows:
        lost = self._struck("span_loss", rows)
        if not lost:
            return rows
        self._journal.write(
            "spans_lost",
            span_ids=[row.span_id for row in lost],
            trace_ids=sorted({row.trace_id for row in lost}),
        )
        gone = set(map(id, lost))
        return tuple(row for row in rows if id(row) not in gone)

    def _struck(self, name: str, rows: Rows) -> Rows:
        if not any(fault.name == name for fault in self._set.faults):
            return ()
        return tuple(row for row in rows if self._set.strike(name) is not None)

    def _is_over_rate(self) -> bool:
        """Take one call from a bucket that holds a second's worth."""
        rate = self._settings.rate_limit_per_s
        if not rate:
            return False
        now_s = self._clock()
        self._allowance = min(rate, self._allowance + (now_s - self._refilled_s) * rate)
        self._refilled_s = now_s
        if self._allowance < 1:
            return True
        self._allowance -= 1
        return False

    def _too_many(self) -> Refusal:
        when = {
            RetryAfter.SECONDS: str(RETRY_AFTER_S),
            RetryAfter.DATE: formatdate(self._clock() + RETRY_AFTER_S, usegmt=True),
        }.get(self._settings.retry_after)
        headers = {"retry-after": when} if when else {}
        return Refusal(HTTPStatus.TOO_MANY_REQUESTS, "rate limit exceeded", headers=headers)

    def _note(self, fault: Fault, *, path: str, status: int | None) -> None:
        self._journal.write("disturbed", fault=str(fault), path=path, status=status)

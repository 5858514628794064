"""The gate's locustfile, which also notes when Python saw what the kernel stamped: both readings of the same streams.

A line per stream in the file `BOTH_CLOCKS`: first and last token by the ledger's clock, then by the user's, all in
monotonic nanoseconds. It costs each read a frame of Python more than the product.
"""

from __future__ import annotations

import atexit
import os
import time
from pathlib import Path
from typing import Any

from locust import task

from tfy_last9.swarm import ScenarioUser, install
from tfy_last9.swarm.exchange import Exchange

_seen: dict[int, tuple[int, int]] = {}
"""Streams under way, by identity of their exchange: first and last token by the user's clock."""
_lines: list[str] = []
_take_body = Exchange._on_body  # noqa: SLF001 - measured from inside
_end = Exchange._end  # noqa: SLF001


def _on_body(self: Any, body: bytes) -> None:
    now_ns = time.monotonic_ns()
    chunks = self._facts.chunks
    _take_body(self, body)
    if self._facts.chunks != chunks:
        _seen[id(self)] = (_seen[id(self)][0] if chunks else now_ns), now_ns


def _on_end(self: Any, at_ns: int) -> None:
    seen, facts = _seen.pop(id(self), None), self._facts
    if seen is not None:
        _lines.append(f"{facts.first_token_ns} {facts.last_token_ns} {seen[0]} {seen[1]}\n")
    _end(self, at_ns)


def _write() -> None:
    Path(os.environ["BOTH_CLOCKS"]).write_text("".join(_lines))


Exchange._on_body = _on_body  # type: ignore[method-assign]  # noqa: SLF001
Exchange._end = _on_end  # type: ignore[method-assign]  # noqa: SLF001
atexit.register(_write)
install()


class BothClocksUser(ScenarioUser):
    """One concurrent request slot."""

    @task  # type: ignore[untyped-decorator]
    def work(self) -> None:
        """Send the next due request."""
        self.send_next()

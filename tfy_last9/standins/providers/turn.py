"""One request at a vendor: when what of it was truly sent, and the waiting in between.

Tokens are paced against absolute due times, so a late token does not delay the following ones. The
journal holds the instants at which the bytes were handed to the socket, not the planned ones.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field

from tfy_last9.standins.providers.pacing import Pacer
from tfy_last9.standins.providers.vendors import Vendor

CLIENT_LEFT = 499
ALIVE_EVERY_NS = 1_000_000_000
"""Real services give a sign of life every few seconds; answers here are shorter, too."""


@dataclass(slots=True)
class Turn:
    """One request and what was sent for it."""

    vendor: Vendor
    model: str
    k: int
    received_ns: int
    pacer: Pacer
    extra_s: float = 0.0
    """Added to all due times: faults, and the wait for a free place."""
    queued_ns: int = 0
    first_sent_ns: int | None = None
    last_sent_ns: int | None = None
    due_ns: list[int] | None = None
    """When each token was to be sent; None unless that is recorded."""
    chunks: int = 0
    status: int = CLIENT_LEFT
    faults: list[str] = field(default_factory=list)

    def sent_token(self) -> None:
        """Note that a delta is being handed to the socket now."""
        now_ns = time.monotonic_ns()
        if self.first_sent_ns is None:
            self.first_sent_ns = now_ns
        self.last_sent_ns = now_ns
        self.chunks += 1

    def plan(self, dues_s: Iterable[float]) -> None:
        """Note when tokens are to be sent, if that is recorded."""
        if self.due_ns is not None:
            self.due_ns += [round((s + self.extra_s) * 1e9) + self.received_ns for s in dues_s]

    async def until(self, due_s: float, alive: Callable[[], Awaitable[None]] | None = None) -> None:
        """Wait for an instant relative to the arrival; a long wait gives a sign of life now and then.

        Takes its turn even if the instant is past: a late stream must not keep the others from theirs.
        """
        due_ns = self.received_ns + int((due_s + self.extra_s) * 1e9)
        if alive is not None:
            while due_ns - (now_ns := time.monotonic_ns()) > ALIVE_EVERY_NS:
                await self.pacer.wait(now_ns + ALIVE_EVERY_NS)
                await alive()
        await self.pacer.wait(due_ns)

    def journal_fields(self) -> dict[str, object]:
        """Give the fields of the journal's `answer` line."""
        recorded = {} if self.due_ns is None else {"due_mono_ns": self.due_ns}
        return recorded | {
            "provider": self.vendor.name,
            "model": self.model,
            "k": self.k,
            "received_mono_ns": self.received_ns,
            "queued_ns": self.queued_ns,
            "first_sent_mono_ns": self.first_sent_ns,
            "last_sent_mono_ns": self.last_sent_ns,
            "chunks": self.chunks,
            "status": self.status,
            "fault": ",".join(self.faults) or None,
        }

"""The worker's half of the relay: packs rows, sends them, and sends them again until the master has them."""

from __future__ import annotations

import logging
import time
import zlib
from collections import deque
from collections.abc import Callable
from typing import Any

import gevent
from gevent.event import Event
from locust.exception import RPCError, RPCSendError

from tfy_last9.swarm.letters import Window

LOOK_AGAIN_S = 0.5
Post = Callable[[dict[str, Any]], None]
"""Hands a message to Locust's connection; raises `RPCSendError` where that fails."""
_log = logging.getLogger(__name__)


class Outbox:
    """One worker's letters of one run. `put` never blocks and never fails."""

    def __init__(self, run_id: str, worker: int, post: Post, level: int = 1) -> None:
        """`level` of compression: 0 where rows travel no further than this process."""
        self._address = {"run_id": run_id, "worker": worker}
        self._post = post
        self._level = level
        self._window = Window()
        self._unpacked: deque[tuple[dict[str, Any], bytes]] = deque()
        self._wake = Event()
        self._settled = Event()
        self._greenlet: Any = gevent.spawn(self._work)

    def is_addressed(self, run_id: str, worker: int) -> bool:
        """Tell whether an acknowledgement is for this outbox: a restarted test has another."""
        return self._address == {"run_id": run_id, "worker": worker}

    def put(self, content: dict[str, Any], rows: bytes = b"") -> None:
        """Take ledger rows (NDJSON) and what else the master should know."""
        self._settled.clear()
        self._unpacked.append((content, rows))
        self._wake.set()

    def acknowledge(self, through: int) -> None:
        """Take the master's word that everything up to a letter is on its disk."""
        self._window.acknowledge(through)
        self._wake.set()

    def settle(self, timeout_s: float) -> bool:
        """Wait until everything is acknowledged; False when that did not come about in time."""
        settled: bool = self._settled.wait(timeout_s)
        return settled

    def close(self) -> None:
        """Stop sending."""
        self._greenlet.kill(block=False)

    @property
    def resent(self) -> int:
        """How many letters went out more than once."""
        return self._window.resent

    def _work(self) -> None:
        while True:
            self._wake.clear()
            self._pack()
            if not self._window.is_empty:
                self._send()
            elif not self._unpacked:
                self._settled.set()
            self._wake.wait(LOOK_AGAIN_S)

    def _pack(self) -> None:
        while self._unpacked:
            content, rows = self._unpacked[0]
            if rows:  # off the hub: a batch of 10,000 rows takes 30 ms
                packed = gevent.get_hub().threadpool.apply(zlib.compress, (rows, self._level))
                content = content | {"rows": packed}
            self._window.add(content)
            self._unpacked.popleft()

    def _send(self) -> None:
        for letter in self._window.due(time.monotonic()):
            try:
                self._post(self._address | {"number": letter.number} | letter.content)
            except (
                RPCError,
                RPCSendError,
            ) as error:  # the socket is full or was just replaced: it goes out again
                _log.info("letter %d to the master was not sent yet: %s", letter.number, error)

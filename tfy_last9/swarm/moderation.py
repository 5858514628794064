"""Looks at many streams together: at most one poll of the sockets in half a millisecond.

With thousands of streams under way some chunk is always there, and the event loop would be woken for each by itself:
a system call, a walk through the loop and cold caches for a hundred bytes. Network cards meet the same trouble with
interrupt moderation. Here it costs no accuracy, since receive times are the kernel's; a reading by the user clock is
not delayed. A process that sleeps now and then is also put back on its core sooner than one that never does.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from gevent.hub import get_hub
from gevent.monkey import get_original

PERIOD_NS = 500_000
"""Also the most by which a request can start late for it."""
MANY = 250
"""Fewer streams leave the core idle in any case."""
_NS_PER_S = 1_000_000_000
_sleep: Callable[[float], None] = get_original("time", "sleep")


class Moderation:
    """Holds the hub back before it polls, while many streams are under way."""

    def __init__(
        self,
        under_way: Callable[[], int],
        *,
        now_ns: Callable[[], int] = time.monotonic_ns,
        sleep: Callable[[float], None] = _sleep,
    ) -> None:
        self._under_way = under_way
        self._now_ns = now_ns
        self._sleep = sleep
        self._polled_ns = 0
        self.is_stamped = True
        """Whether receive times come from the kernel; else a late look would be a late reading."""
        self._watcher: Any = get_hub().loop.prepare(ref=False)
        self._watcher.start(self.before_poll)

    def before_poll(self) -> None:
        """Sleep for what is left of the period; busy loops have nothing left, and do not sleep."""
        if not self.is_stamped or self._under_way() < MANY:
            return
        now_ns = self._now_ns()
        left_ns = self._polled_ns + PERIOD_NS - now_ns
        if 0 < left_ns <= PERIOD_NS:
            self._sleep(left_ns / _NS_PER_S)
            now_ns += left_ns
        self._polled_ns = now_ns

    def close(self) -> None:
        """Let the hub poll whenever it likes."""
        self._watcher.stop()
        self._watcher.close()

"""Wakes a greenlet at an instant, to tens of microseconds and without spinning.

libev hands its timers to `epoll_wait` in whole milliseconds, so `gevent.sleep` is half a millisecond late on
average and over a millisecond at times. A kernel timer (timerfd_create(2)) is a file that becomes readable at
its instant, which wakes the hub at once. Elsewhere than on Linux it is `gevent.sleep` again.
"""

from __future__ import annotations

import ctypes
import os
import time
from typing import Any

import gevent
from gevent.hub import Waiter

CLOCK_MONOTONIC = 1
TFD_TIMER_ABSTIME = 1
NS_PER_S = 1_000_000_000


class Timerspec(ctypes.Structure):
    """`struct itimerspec`."""

    _fields_ = (
        ("interval_s", ctypes.c_long),
        ("interval_ns", ctypes.c_long),
        ("value_s", ctypes.c_long),
        ("value_ns", ctypes.c_long),
    )


class Alarm:
    """One timer, for one greenlet at a time."""

    def __init__(self) -> None:
        self._spec = Timerspec()
        self._spec_at = ctypes.byref(self._spec)
        self._watcher: Any = None
        self._fd = -1
        self._waiter: Any = None
        self._turn: Any = gevent.get_hub().loop.async_()
        try:
            libc: Any = ctypes.CDLL(None, use_errno=True)
            flags = os.O_NONBLOCK | os.O_CLOEXEC  # TFD_NONBLOCK and TFD_CLOEXEC are the same bits
            self._fd = libc.timerfd_create(CLOCK_MONOTONIC, flags)
            self._settime = libc.timerfd_settime
        except (AttributeError, OSError):
            return
        if self._fd >= 0:
            # Started once: starting it for each wait would cost two calls of epoll_ctl(2).
            self._watcher = gevent.get_hub().loop.io(self._fd, 1)
            self._watcher.start(self._ring)

    @property
    def is_exact(self) -> bool:
        """Tell whether there is a kernel timer."""
        return self._watcher is not None

    def wait_until(self, at_ns: int) -> None:
        """Block the greenlet until an instant of the monotonic clock; one that is past does not block."""
        if at_ns <= time.monotonic_ns():
            return
        if self._watcher is None:
            gevent.sleep(max(0.0, (at_ns - time.monotonic_ns()) / NS_PER_S))
            return
        self._wait_for(at_ns)

    def let_others_run(self) -> None:
        """Block the greenlet until the hub has looked once at what came in meanwhile."""
        waiter: Any = Waiter()
        # Sent from the hub's own thread it is only a note for the next turn of the loop: no system call.
        self._turn.start(waiter.switch, None)
        self._turn.send()
        try:
            waiter.get()
        finally:
            self._turn.stop()

    def _wait_for(self, at_ns: int) -> None:
        waiter = self._waiter = Waiter()
        self._set(at_ns)
        try:
            waiter.get()
        finally:
            self._waiter = None

    def _set(self, at_ns: int) -> None:
        """Have the file readable at an instant; 0: never."""
        self._spec.value_s, self._spec.value_ns = divmod(at_ns, NS_PER_S)
        self._settime(self._fd, TFD_TIMER_ABSTIME, self._spec_at, None)

    def _ring(self) -> None:
        waiter = self._waiter
        if waiter is None:
            self._set(0)
        else:
            waiter.switch(None)

    def close(self) -> None:
        """Give the timer back."""
        self._turn.close()
        if self._watcher is not None:
            self._watcher.close()
            self._watcher = None
            os.close(self._fd)

"""The real clock behind `ports.Clock`."""

from __future__ import annotations

import threading
import time

from tfy_last9.errors import Stopped


class SystemClock:
    """Wall clock of this machine."""

    def now_ns(self) -> int:
        """Return the UTC instant in nanoseconds."""
        return time.time_ns()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(max(0.0, seconds))


class StoppableClock(SystemClock):
    """Wall clock whose waits end at once when `stop` is called; waiting after that raises."""

    def __init__(self) -> None:
        self._stop = threading.Event()

    def stop(self) -> None:
        """End every wait, present and future."""
        self._stop.set()

    @property
    def is_stopped(self) -> bool:
        """Tell whether `stop` was called."""
        return self._stop.is_set()

    def sleep(self, seconds: float) -> None:
        """Wait. Raises `Stopped` when the wait was ended."""
        if self._stop.wait(max(0.0, seconds)):
            raise Stopped("stopped while waiting")

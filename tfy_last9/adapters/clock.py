"""The real clock behind `ports.Clock`."""

from __future__ import annotations

import time


class SystemClock:
    """Wall clock of this machine."""

    def now_ns(self) -> int:
        """Return the UTC instant in nanoseconds."""
        return time.time_ns()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(max(0.0, seconds))

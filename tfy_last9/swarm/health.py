"""Is the generator itself healthy? Hub lag, CPU and counts, once a second."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import gevent
import psutil

SENTINEL_S = 0.005
"""The sentinel sleeps this long and records the overshoot: the time by which any greenlet may be late."""


@dataclass(slots=True)
class Counts:
    """Counters of one worker."""

    offered: int = 0
    started: int = 0
    missed: int = 0
    finished: int = 0
    errors: int = 0
    in_flight: int = 0


@dataclass(slots=True)
class HealthMeter:
    """Collects one worker's health between two samples."""

    worker: int
    _lags_ns: list[int] = field(default_factory=list)
    _greatest_start_lag_ns: int = 0
    _process: Any = field(default_factory=psutil.Process)
    _sentinel: Any = None

    def start(self) -> None:
        """Begin watching the hub."""
        self._process.cpu_percent()  # the first reading only sets the reference
        self._sentinel = gevent.spawn(self._watch)

    def stop(self) -> None:
        """End watching."""
        if self._sentinel is not None:
            self._sentinel.kill(block=False)

    def started_late_by(self, lag_ns: int) -> None:
        """Take note of how late a request was started."""
        self._greatest_start_lag_ns = max(self._greatest_start_lag_ns, lag_ns)

    def sample(self, counts: Counts, utc_ns: int) -> dict[str, Any]:
        """Return a row of `health.parquet` and begin the next interval."""
        lags = sorted(self._lags_ns) or [0]
        row: dict[str, Any] = {
            "worker": self.worker,
            "t_ns": utc_ns,
            "hub_lag_p50_ns": lags[len(lags) // 2],
            "hub_lag_max_ns": lags[-1],
            "cpu_percent": self._process.cpu_percent(),
            "in_flight": counts.in_flight,
            "start_lag_max_ns": self._greatest_start_lag_ns,
            "started": counts.started,
            "missed": counts.missed,
            "finished": counts.finished,
        }
        self._lags_ns.clear()
        self._greatest_start_lag_ns = 0
        return row

    def _watch(self) -> None:
        while True:
            before_ns = time.monotonic_ns()
            gevent.sleep(SENTINEL_S)
            late_ns = time.monotonic_ns() - before_ns - int(SENTINEL_S * 1e9)
            self._lags_ns.append(max(0, late_ns))

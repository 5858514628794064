"""Who a worker is: enough to name it, and to see at once when it died on the master's own machine.

A worker elsewhere is lost when it was silent for `LOST_AFTER_S`; a network that is cut for less costs
nothing. One whose process is gone from this machine is lost at once.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

LOST_AFTER_S = 15
"""Silence after which a worker is given up; Locust's own 3 s would end a run for a network hiccup."""


@dataclass(frozen=True, slots=True)
class Peer:
    """What a worker says when it joins."""

    version: str
    machine: str
    """Same text, same process table; empty where that cannot be told."""
    pid: int
    born_s: float
    """When the process started, so that a pid that was given out again is told apart."""

    @classmethod
    def myself(cls) -> Peer:
        """Describe this process."""
        me = psutil.Process()
        return cls(version("tfy-last9"), _machine(), me.pid, me.create_time())

    @classmethod
    def read(cls, data: dict[str, Any]) -> Peer:
        """Read what `as_data` wrote; unknown keys of another version are ignored."""
        return cls(**{name: data[name] for name in cls.__slots__})

    def as_data(self) -> dict[str, Any]:
        """Return what travels."""
        return asdict(self)

    @property
    def is_gone(self) -> bool:
        """Tell whether the process ran on this machine and does not any more."""
        if not self.machine or self.machine != _machine():
            return False
        try:
            process = psutil.Process(self.pid)
            is_same = abs(process.create_time() - self.born_s) < 1.0
            return not is_same or process.status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return True


def host_of(client: str) -> str:
    """Return the host name in a Locust client id (`host_hex`)."""
    return client.rpartition("_")[0] or client


@cache
def _machine() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        return f"{boot}/{Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""

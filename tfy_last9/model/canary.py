"""What two arms did, reduced to counts: all that comparing them needs.

Latencies are counted per step on a logarithmic scale (see `stats.shift`), so that a million requests
stay a few thousand numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

Steps = tuple[tuple[int, int], ...]
"""(step of the log latency, how many), ascending."""


@dataclass(frozen=True, slots=True)
class ArmCounts:
    """One arm in one group."""

    sent: int
    errors: int
    timed: int
    """Requests with a claim on latency: served, or waited for in vain."""
    slow: int
    """Of those: beyond a latency limit."""
    input_tokens: int
    cached_tokens: int


@dataclass(frozen=True, slots=True)
class Latencies:
    """One latency of both arms."""

    name: str
    """A ledger field, `ttft_ms` or `total_ms`."""
    baseline: Steps
    canary: Steps
    differences: Steps
    """Canary minus baseline of each pair; empty without pairs."""


@dataclass(frozen=True, slots=True)
class ArmTally:
    """Both arms in one group."""

    provider: str
    baseline: ArmCounts
    canary: ArmCounts
    latencies: tuple[Latencies, ...]
    slow_means: str
    """What makes a request slow, in words."""
    untold: int = 0
    """Requests of neither arm, as far as answers and traces tell."""

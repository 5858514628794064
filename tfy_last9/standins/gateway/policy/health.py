"""What the gateway remembers of each target: failures, and how fast it answered."""

from __future__ import annotations

from collections import defaultdict, deque
from statistics import fmean

from tfy_last9.standins.gateway.policy.config import Health, SlaCutoff

SLA_WINDOW_S = 180.0
LATENCY_WINDOW_S = 1200.0
ENOUGH_SAMPLES = 3
"""Documented, for both windows."""
REFUSED = frozenset({401, 403, 429})
BROKEN_FROM = 500
MOST_SAMPLES = 10_000
Sample = tuple[float, float | None, float | None]
"""Instant in seconds, time to first token and time per output token in ms."""


class TargetHealth:
    """Failures and latencies of all targets, by name; instants are seconds of any one clock."""

    def __init__(self, rule: Health) -> None:
        self._rule = rule
        self._failures: dict[str, deque[float]] = defaultdict(deque)
        self._samples: dict[str, deque[Sample]] = defaultdict(lambda: deque(maxlen=MOST_SAMPLES))

    def failed(self, target: str, status: int, now_s: float) -> None:
        """Note a failure, if it is of the kind that counts."""
        if status >= BROKEN_FROM or status in REFUSED:
            self._failures[target].append(now_s)

    def served(
        self, target: str, ttft_ms: float | None, tpot_ms: float | None, now_s: float
    ) -> None:
        """Note how fast an answer was."""
        self._samples[target].append((now_s, ttft_ms, tpot_ms))

    def is_unhealthy(self, target: str, now_s: float) -> bool:
        """Tell whether a target failed too often of late."""
        failures = self._failures.get(target)
        if not failures or not self._rule.failures:
            return False
        while failures and failures[0] <= now_s - self._rule.window_s:
            failures.popleft()
        return len(failures) >= self._rule.failures

    def misses(self, target: str, cutoff: SlaCutoff | None, now_s: float) -> bool:
        """Tell whether a target was slower than its cutoff of late; too few samples prove nothing."""
        if cutoff is None:
            return False
        recent = self._since(target, now_s - SLA_WINDOW_S)
        limits = (cutoff.time_to_first_token_ms, cutoff.time_per_output_token_ms)
        return any(
            (mean := _mean(recent, place)) is not None and mean > limit
            for place, limit in enumerate(limits, 1)
        )

    def time_per_output_token_ms(self, target: str, now_s: float) -> float | None:
        """Give the mean of the last 20 minutes; None while there are too few samples."""
        return _mean(self._since(target, now_s - LATENCY_WINDOW_S), 2)

    def _since(self, target: str, start_s: float) -> list[Sample]:
        samples = self._samples.get(target)
        if samples is None:
            return []
        return [sample for sample in samples if sample[0] > start_s]


def _mean(samples: list[Sample], place: int) -> float | None:
    values = [value for sample in samples if (value := sample[place]) is not None]
    return fmean(values) if len(values) >= ENOUGH_SAMPLES else None

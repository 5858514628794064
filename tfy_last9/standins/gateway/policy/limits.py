"""Rate limits: a window that slides in buckets of 5 s; of the rules the first that matches counts."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from tfy_last9.standins.gateway.policy.config import Caller, RateRule

BUCKET_S = 5
Key = tuple[str, ...]


def partition(applies_per: tuple[str, ...], caller: Caller, model: str) -> Key:
    """Give what a rule counts apart: one counter for each value."""
    return tuple(_value(what, caller, model) for what in applies_per)


def _value(what: str, caller: Caller, model: str) -> str:
    if what == "model":
        return model
    if what.startswith("metadata."):
        return caller.metadata.get(what.removeprefix("metadata."), "")
    wanted = {"user": "user", "virtualaccount": "virtualaccount"}[what]
    return caller.slug if caller.kind == wanted else ""


@dataclass(slots=True)
class SlidingWindow:
    """A sum over the last seconds, kept per bucket."""

    length_s: int
    total: int = 0
    _buckets: deque[list[int]] = field(default_factory=deque)
    """Number of the bucket and what is in it, oldest first."""

    def add(self, amount: int, now_s: float) -> None:
        """Add to the bucket of an instant, which may not lie before an earlier one."""
        bucket = int(now_s // BUCKET_S)
        if self._buckets and self._buckets[-1][0] >= bucket:
            self._buckets[-1][1] += amount
        else:
            self._buckets.append([bucket, amount])
        self.total += amount

    def sum(self, now_s: float) -> int:
        """Give the sum of the buckets that are still inside."""
        oldest = int(now_s // BUCKET_S) - self.length_s // BUCKET_S
        while self._buckets and self._buckets[0][0] <= oldest:
            self.total -= self._buckets.popleft()[1]
        return self.total


class RateLimiter:
    """Counts what the rules limit."""

    def __init__(self, rules: tuple[RateRule, ...]) -> None:
        self.rules = rules
        self._windows: dict[Key, SlidingWindow] = {}

    def matching(self, caller: Caller, model: str) -> RateRule | None:
        """Find the one rule that applies."""
        return next((rule for rule in self.rules if rule.when.holds(caller, model)), None)

    def admits(self, rule: RateRule, caller: Caller, model: str, now_s: float) -> bool:
        """Tell whether another request may pass, and count it if it may."""
        window = self._window(rule, caller, model)
        if window.sum(now_s) >= rule.limit_to:
            return False
        if rule.of == "requests":
            window.add(1, now_s)
        return True

    def spent(self, rule: RateRule, caller: Caller, model: str, tokens: int, now_s: float) -> None:
        """Count the tokens of an answer."""
        if rule.of == "tokens":
            self._window(rule, caller, model).add(tokens, now_s)

    def _window(self, rule: RateRule, caller: Caller, model: str) -> SlidingWindow:
        key = (rule.id, *partition(rule.applies_per, caller, model))
        return self._windows.setdefault(key, SlidingWindow(rule.per_s))

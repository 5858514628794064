"""What can be made to go wrong: the names, the syntax `NAME[:PROVIDER][=VALUE][@SHARE]`, the lots.

Whether the k-th eligible event is struck is a pure function of (seed, fault, provider, k), never of
scheduling, so two runs with the same number of events see the same number of faults. To add a fault,
add one line to `RULES` and ask `FaultSet.strike` where it takes effect.
"""

from __future__ import annotations

import difflib
import hashlib
import random
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache

PROVIDERS = (
    *("openai", "anthropic", "gemini", "bedrock", "mistral", "deepseek", "cohere"),
    *("openai-canary", "anthropic-canary", "gemini-canary"),
)
"""Vendors, and the same vendors behind the accounts of a canary."""
BLOCK = 20
"""Events per block; each block holds exactly one event per twentieth of [0, 1)."""
GROUP = 50
"""Blocks per group; within a group each twentieth is cut once more, so 1/1000 is exact in 1000."""


class FaultError(ValueError):
    """A fault that cannot be understood; the message names the nearest valid spelling."""


class Owner(Enum):
    """The process in which a fault takes effect."""

    GATEWAY = "gateway"
    PROVIDERS = "providers"
    LAST9 = "last9"


class Value(Enum):
    """What stands after `=`."""

    NONE = "no value"
    SHARE = "a share such as 0.05 or 5%"
    DURATION = "a duration such as 500ms, 5s or 2m"
    COUNT = "a whole number from 1"


@dataclass(frozen=True, slots=True)
class Rule:
    """What one fault name accepts and where it acts."""

    owner: Owner
    value: Value
    per_provider: bool = False


RULES: dict[str, Rule] = {
    "trace_loss": Rule(Owner.GATEWAY, Value.SHARE),
    "trace_delay": Rule(Owner.GATEWAY, Value.DURATION),
    "gateway_latency": Rule(Owner.GATEWAY, Value.DURATION),
    "missing_tokens": Rule(Owner.GATEWAY, Value.SHARE),
    "missing_header": Rule(Owner.GATEWAY, Value.SHARE),
    "rate_limit": Rule(Owner.GATEWAY, Value.SHARE),
    "provider_silent": Rule(Owner.GATEWAY, Value.NONE, per_provider=True),
    "provider_latency": Rule(Owner.PROVIDERS, Value.DURATION, per_provider=True),
    "provider_errors": Rule(Owner.PROVIDERS, Value.SHARE, per_provider=True),
    "provider_down": Rule(Owner.PROVIDERS, Value.NONE, per_provider=True),
    "provider_429": Rule(Owner.PROVIDERS, Value.SHARE, per_provider=True),
    "provider_capacity": Rule(Owner.PROVIDERS, Value.COUNT, per_provider=True),
    "stream_cut": Rule(Owner.PROVIDERS, Value.SHARE),
    "stream_stall": Rule(Owner.PROVIDERS, Value.DURATION),
    "stream_error": Rule(Owner.PROVIDERS, Value.SHARE),
    "duplicate_spans": Rule(Owner.LAST9, Value.SHARE),
    "span_loss": Rule(Owner.LAST9, Value.SHARE),
    "otlp_reject": Rule(Owner.LAST9, Value.SHARE),
    "last9_429": Rule(Owner.LAST9, Value.SHARE),
    "last9_5xx": Rule(Owner.LAST9, Value.SHARE),
    "last9_slow": Rule(Owner.LAST9, Value.DURATION),
    "last9_page_cap": Rule(Owner.LAST9, Value.COUNT),
    "token_expiry": Rule(Owner.LAST9, Value.DURATION),
}
UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0}


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault as asked for."""

    name: str
    provider: str | None
    """None for faults that do not belong to a provider."""
    delay_s: float | None
    """None for faults without a duration."""
    share: float
    """Share of the eligible events that are struck, 0..1."""
    count: int | None = None
    """None for faults without a whole number."""

    @property
    def owner(self) -> Owner:
        """The process that acts on it."""
        return RULES[self.name].owner

    def __str__(self) -> str:
        rule = RULES[self.name]
        text = self.name + (f":{self.provider}" if self.provider else "")
        if rule.value is Value.SHARE:
            return f"{text}={_number(self.share)}"
        if self.count is not None:
            text += f"={self.count}"
        if self.delay_s is not None:
            text += f"={_number(self.delay_s)}s"
        return text if self.share == 1 else f"{text}@{_number(self.share)}"


def parse(text: str) -> Fault:
    """Read one fault; raises FaultError with one line that says what to write instead."""
    head, at, share_text = text.strip().partition("@")
    head, equals, value_text = head.partition("=")
    name, colon, provider_text = head.partition(":")
    rule = RULES.get(name)
    if rule is None:
        raise FaultError(f"unknown fault {name!r} in {text!r}; {_nearest(name, RULES)}")
    provider = _provider(text, name, rule, provider_text if colon else None)
    if rule.value is Value.SHARE:
        if at:
            raise FaultError(f"{text!r} gives a share twice; write {name}=SHARE without '@'")
        return Fault(name, provider, None, _share(text, value_text if equals else ""))
    share = _share(text, share_text) if at else 1.0
    if rule.value is Value.NONE:
        if equals:
            raise FaultError(f"{name} in {text!r} takes no value; write {head}[@SHARE]")
        return Fault(name, provider, None, share)
    if rule.value is Value.COUNT:
        return Fault(name, provider, None, share, _count(text, value_text if equals else ""))
    return Fault(name, provider, _duration_s(text, value_text if equals else ""), share)


def _provider(text: str, name: str, rule: Rule, provider: str | None) -> str | None:
    if not rule.per_provider:
        if provider is not None:
            raise FaultError(f"{name} in {text!r} takes no provider; drop ':{provider}'")
        return None
    if provider is None:
        raise FaultError(f"{name} in {text!r} needs a provider; write {name}:{PROVIDERS[0]}...")
    if provider not in PROVIDERS:
        raise FaultError(
            f"unknown provider {provider!r} in {text!r}; {_nearest(provider, PROVIDERS)}"
        )
    return provider


def _nearest(seen: str, valid: Iterable[str]) -> str:
    names = list(valid)
    close = difflib.get_close_matches(seen, names, n=1, cutoff=0.5)
    choices = ", ".join(names)
    return f"did you mean {close[0]!r}? Valid are {choices}" if close else f"valid are {choices}"


def _share(text: str, share: str) -> float:
    percent = share.endswith("%")
    try:
        value = float(share.removesuffix("%")) / (100 if percent else 1)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise FaultError(f"bad share {share!r} in {text!r}; expected {Value.SHARE.value}")
    return value


def _duration_s(text: str, duration: str) -> float:
    unit = duration.lstrip("0123456789.e+-")
    try:
        value = float(duration.removesuffix(unit)) * UNITS_S[unit]
    except (ValueError, KeyError):
        value = -1.0
    if not 0 <= value < float("inf"):
        raise FaultError(f"bad duration {duration!r} in {text!r}; expected {Value.DURATION.value}")
    return value


def _count(text: str, count: str) -> int:
    if not re.fullmatch("[1-9][0-9]{0,8}", count):
        raise FaultError(f"bad count {count!r} in {text!r}; expected {Value.COUNT.value}")
    return int(count)


def _number(value: float) -> str:
    return repr(value).removesuffix(".0")


@lru_cache(maxsize=512)
def _permutation(size: int, key: str) -> tuple[int, ...]:
    places = list(range(size))
    random.Random(key).shuffle(places)
    return tuple(places)


def lot(seed: int, name: str, provider: str | None, k: int) -> float:
    """Draw the lot of the k-th event (from 0): a stratified hash in [0, 1).

    Stratified, so that a share of 5 % strikes exactly one of every 20 events, at a place that the
    seed chooses anew for each block; plain hashing would add binomial noise to what tests compare.
    """
    key = f"{seed}|{name}|{provider or ''}"
    block, place = divmod(k, BLOCK)
    group, seat = divmod(block, GROUP)
    stratum = _permutation(BLOCK, f"{key}|block {block}")[place]
    cell = _permutation(GROUP, f"{key}|group {group}|{stratum}")[seat]
    digest = hashlib.blake2b(f"{key}|{k}".encode(), digest_size=4).digest()
    jitter = int.from_bytes(digest) / 2**32
    return (stratum + (cell + jitter) / GROUP) / BLOCK


class FaultSet:
    """The faults in force in one process, with the counters that number the eligible events."""

    def __init__(self, faults: Iterable[Fault], seed: int) -> None:
        self.faults = tuple(faults)
        self._seed = seed
        self._counts: dict[tuple[str, str | None], int] = {}

    def strike(self, name: str, provider: str | None = None) -> Fault | None:
        """Count one eligible event; returns the fault that strikes it, the rarest if several do."""
        if not self.faults:
            return None
        matching = [f for f in self.faults if f.name == name and f.provider == provider]
        if not matching:
            return None
        k = self._counts.get((name, provider), 0)
        self._counts[name, provider] = k + 1
        drawn = lot(self._seed, name, provider, k)
        return min((f for f in matching if drawn < f.share), key=lambda f: f.share, default=None)

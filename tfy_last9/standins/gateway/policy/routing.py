"""In which order the targets of a virtual model are tried; clock and lots are handed in.

By weight the lot decides, by priority the number, by latency the time per output token of late. In all
three, targets that are unhealthy stand at the end, where they are still better than nothing; those that
may not step in for others are tried first or not at all.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from tfy_last9.standins.gateway.policy.config import Caller, Strategy, Target, VirtualModel
from tfy_last9.standins.gateway.policy.health import TargetHealth

ALIKE = 1.2
"""Targets within this factor of the fastest are treated as equally fast."""
EPOCH_S = 600.0
"""For so long a caller keeps to one of the targets that are equally fast."""
Lot = Callable[[], float]
"""Draws from [0, 1)."""


@dataclass(frozen=True, slots=True)
class Route:
    """The targets to try, in order."""

    targets: tuple[Target, ...]
    is_sticky: bool = False
    """Whether the first is there because the session was there before."""


@dataclass(slots=True)
class Router:
    """Orders targets, and remembers where sessions are."""

    health: TargetHealth
    _sessions: dict[tuple[str, ...], tuple[float, str]] = field(default_factory=dict)
    """Session to the instant at which it ends and its target."""

    def route(
        self, model: VirtualModel, open_to: Iterable[str], caller: Caller, lot: Lot, now_s: float
    ) -> Route:
        """Order the targets that are open to the caller and fit its metadata."""
        names = frozenset(open_to)
        candidates = [
            target
            for target in model.targets
            if target.target in names and target.metadata_match.items() <= caller.metadata.items()
        ]
        if not candidates:
            return Route(())
        healthy = [target for target in candidates if not self._stands_back(target, now_s)]
        preferred = healthy or candidates
        ordered = self._ordered(model, preferred, caller, lot, now_s)
        session = _session(model, caller)
        kept = self._kept(session, preferred, now_s)
        first = kept or ordered[0]
        if session is not None and kept is None and model.sticky is not None:
            self._sessions[session] = (now_s + model.sticky.ttl_s, first.target)
        rest = {id(one): one for one in (*ordered, *candidates) if one.fallback_candidate}
        rest.pop(id(first), None)
        return Route((first, *rest.values()), kept is not None)

    def _stands_back(self, target: Target, now_s: float) -> bool:
        return self.health.is_unhealthy(target.target, now_s) or self.health.misses(
            target.target, target.sla_cutoff, now_s
        )

    def _kept(
        self, session: tuple[str, ...] | None, preferred: list[Target], now_s: float
    ) -> Target | None:
        """Find the target of a session that has not ended; an unhealthy one is given up."""
        ends_s, name = self._sessions.get(session or (), (now_s, ""))
        if ends_s <= now_s:
            return None
        return next((target for target in preferred if target.target == name), None)

    def _ordered(
        self, model: VirtualModel, targets: list[Target], caller: Caller, lot: Lot, now_s: float
    ) -> list[Target]:
        if model.strategy is Strategy.WEIGHT:
            return by_weight(targets, lot())
        if model.strategy is Strategy.PRIORITY:
            return sorted(targets, key=lambda target: target.priority)
        speeds = [self.health.time_per_output_token_ms(one.target, now_s) for one in targets]
        return by_latency(targets, speeds, _epoch_number(caller, now_s))


def by_weight(targets: list[Target], lot: float) -> list[Target]:
    """Put the one that a lot from [0, 1) falls on first, the others behind it by weight."""
    ranked = sorted(targets, key=lambda target: -target.weight)
    drawn, reached = lot * sum(target.weight for target in targets), 0
    for target in targets:
        reached += target.weight
        if drawn < reached:
            return [target, *(one for one in ranked if one is not target)]
    return ranked


def by_latency(targets: list[Target], speeds: list[float | None], choice: int) -> list[Target]:
    """Put one of the fastest first, the others behind it by speed; one without samples may be fast."""
    limit = min((speed for speed in speeds if speed is not None), default=0.0) * ALIKE
    ranked = sorted(zip(targets, speeds, strict=True), key=lambda pair: pair[1] or 0.0)
    alike = [target for target, speed in ranked if (speed or 0.0) <= limit]
    first = alike[choice % len(alike)]
    return [first, *(target for target, _ in ranked if target is not first)]


def _session(model: VirtualModel, caller: Caller) -> tuple[str, ...] | None:
    """Name the session of a request; None if it does not say all that identifies one."""
    if model.sticky is None:
        return None
    sources = {"headers": caller.headers, "metadata": caller.metadata}
    values = [sources[source].get(key) for source, key in model.sticky.session_identifiers]
    found = [value for value in values if value is not None]
    return (model.name, *found) if len(found) == len(values) else None


def _epoch_number(caller: Caller, now_s: float) -> int:
    """Give a number that a caller keeps for an epoch."""
    digest = hashlib.blake2b(f"{caller.slug}|{now_s // EPOCH_S}".encode(), digest_size=4).digest()
    return int.from_bytes(digest)

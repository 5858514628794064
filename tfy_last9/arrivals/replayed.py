"""Production's traffic as a scenario: which targets, which rates, what it costs. No file, no network.

What a scenario cannot say is said in words instead: prompts are dealt round robin, so that their lengths
are those of the whole traffic and not of each model; `max_tokens` caps an answer and does not lengthen it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tfy_last9.arrivals.reshaped import SMALLEST_RATE, rates
from tfy_last9.model.traffic import Calls, Route, Traffic

MOST_STEPS = 48
SHORTEST_STEP_S = 5.0
LARGEST_WEIGHT = 1_000_000
SMALLEST_SHARE = 0.02
"""A smaller part of the traffic is one target with the median length, not one per length."""
_NAME = re.compile(r"[^A-Za-z0-9._-]+")
_NAME_MAX = 56


@dataclass(frozen=True, slots=True)
class Aim:
    """One target of the scenario."""

    name: str
    model: str
    providers: tuple[str, ...]
    """One for a model, several for a virtual one."""
    is_virtual: bool
    stream: bool
    max_tokens: int | None
    share: float
    """Of all requests."""
    usd: float | None
    """Per request; None where no price is known."""

    @property
    def weight(self) -> int:
        """Return the share as a scenario's weight."""
        return max(1, round(self.share * LARGEST_WEIGHT))


@dataclass(frozen=True, slots=True)
class Replay:
    """The traffic, at a scale and squeezed into a duration."""

    aims: tuple[Aim, ...]
    rates_per_s: tuple[float, ...]
    """Of equal steps."""
    step_s: float
    warm_up_s: float
    scale: float
    users: int
    notes: tuple[str, ...]
    """What is not as it was."""

    @property
    def duration_s(self) -> float:
        """Return how long the judged part takes."""
        return self.step_s * len(self.rates_per_s)

    @property
    def requests(self) -> float:
        """Return how many requests are expected, warm-up included."""
        return sum(self.rates_per_s) * self.step_s + self.rates_per_s[0] * self.warm_up_s

    @property
    def usd(self) -> float:
        """Return what they are expected to cost, as far as prices are known."""
        return self.requests * sum(aim.share * (aim.usd or 0.0) for aim in self.aims)

    @property
    def unpriced(self) -> float:
        """Return the share of requests without a known price."""
        return sum(aim.share for aim in self.aims if aim.usd is None)


def replayed(traffic: Traffic, *, scale: float, duration_s: float) -> Replay:
    """Return the scenario-to-be. `scale` 1 keeps production's rate; a shorter duration keeps its curve."""
    pieces = max(1, min(MOST_STEPS, int(duration_s // SHORTEST_STEP_S)))
    window_s = traffic.window.start_ns / 1e9, traffic.window.end_ns / 1e9
    found = rates(traffic.arrivals, window_s, pieces)
    scaled = tuple(max(SMALLEST_RATE, rate * scale) for rate in found)
    aims, notes = _aims(traffic)
    peak_in_flight = max(scaled) * max(traffic.duration_p99_s, 1.0)
    return Replay(
        aims=aims,
        rates_per_s=scaled,
        step_s=duration_s / pieces,
        warm_up_s=min(30.0, max(5.0, duration_s / 10.0)),
        scale=scale,
        users=min(100_000, 20 + math.ceil(2.0 * peak_in_flight)),
        notes=notes,
    )


def _aims(traffic: Traffic) -> tuple[tuple[Aim, ...], tuple[str, ...]]:
    served = {one.model for one in traffic.calls}
    routes = traffic.routes or tuple(  # a gateway that does not tell what was asked for
        Route(model, sum(one.requests for one in traffic.calls if one.model == model))
        for model in sorted(served)
    )
    kept = [route for route in routes if _calls_of(route, traffic.calls)]
    lost = [route for route in routes if route not in kept]
    total = sum(route.requests for route in kept)
    aims = [aim for route in kept for aim in _of_route(route, traffic.calls, total)]
    notes = [
        f"{route.requests:,} requests for {route.name!r} reached no model and are left out"
        for route in lost
    ]
    return tuple(_distinct(aims)), tuple(notes)


def _calls_of(route: Route, calls: Sequence[Calls]) -> list[Calls]:
    models = route.reaches or (route.name,)
    return [one for one in calls if one.model in models]


def _of_route(route: Route, calls: Sequence[Calls], total: int) -> Iterator[Aim]:
    mine = _calls_of(route, calls)
    providers = tuple(sorted({one.provider for one in mine}))
    whole = sum(one.requests for one in mine)
    for stream in (True, False):
        parts = [one for one in mine if one.stream is stream]
        if not parts:
            continue
        share = route.requests / total * sum(one.requests for one in parts) / whole
        usd = _usd(parts)
        longest = max(parts, key=lambda one: one.output.requests)
        lengths = longest.output.values if share >= SMALLEST_SHARE else longest.output.values[1:2]
        distinct: list[int | None] = [*sorted(set(lengths))]
        mean = sum(lengths) / len(lengths) if lengths else None
        for length in distinct or [None]:
            weight = lengths.count(length) / len(lengths) if length is not None else 1.0
            scaled = usd if usd is None or not mean or length is None else usd * length / mean
            yield Aim(
                name=_name(route.name, stream, length),
                model=route.name,
                providers=providers,
                is_virtual=bool(route.reaches),
                stream=stream,
                max_tokens=max(1, length) if length is not None else None,
                share=share * weight,
                usd=scaled,
            )


def _usd(parts: Sequence[Calls]) -> float | None:
    priced = sum(one.priced for one in parts)
    return sum(one.cost_usd for one in parts) / priced if priced else None


def _name(route: str, stream: bool, length: int | None) -> str:  # noqa: FBT001 - both ways have a name
    kind = "" if stream else "-whole"
    end = f"{kind}-{length}t" if length is not None else kind
    return _NAME.sub("-", route).strip("-.")[: _NAME_MAX - len(end)] + end


def _distinct(aims: Sequence[Aim]) -> Iterator[Aim]:
    """Yield the aims under names that differ, however much was cut off them."""
    seen: dict[str, int] = {}
    for aim in aims:
        n = seen[aim.name] = seen.get(aim.name, 0) + 1
        if n == 1:
            yield aim
        else:
            yield Aim(
                f"{aim.name}-{n}",
                *(aim.model, aim.providers, aim.is_virtual, aim.stream, aim.max_tokens),
                *(aim.share, aim.usd),
            )

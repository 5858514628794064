"""The shape of traffic that somebody else sent: enough to send the like of it."""

from __future__ import annotations

from dataclasses import dataclass

from tfy_last9.model.run import Window


@dataclass(frozen=True, slots=True)
class Bin:
    """Requests that arrived in a stretch of time."""

    start_s: int
    """Unix seconds."""
    length_s: int
    requests: int


@dataclass(frozen=True, slots=True)
class Lengths:
    """Numbers of tokens: a few equally likely values, smallest first, and how many requests told theirs."""

    values: tuple[int, ...]
    total: int
    """Sum over the requests that told."""
    requests: int

    @property
    def mean(self) -> float | None:
        """Tokens per request; None where no request told."""
        return self.total / self.requests if self.requests else None


@dataclass(frozen=True, slots=True)
class Calls:
    """Calls of one model, streamed or not, as the gateway saw them."""

    model: str
    """`account/model`."""
    provider: str
    stream: bool
    requests: int
    output: Lengths
    cost_usd: float
    priced: int
    """Of `requests`: how many carry a price."""


@dataclass(frozen=True, slots=True)
class Route:
    """What clients asked for."""

    name: str
    requests: int
    reaches: tuple[str, ...] = ()
    """Models that served it, where it is none itself."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """A stretch of a gateway's traffic."""

    window: Window
    requests: int
    arrivals: tuple[Bin, ...]
    routes: tuple[Route, ...]
    calls: tuple[Calls, ...]
    input: Lengths
    """Of all traffic together."""
    duration_p99_s: float
    how: str
    """How the lengths were learnt, in words."""

"""The query string of a traces query: region, window, limit, order."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from http import HTTPStatus

from tfy_last9.standins.last9.message import Refusal
from tfy_last9.standins.last9.settings import Settings, WindowEnd

NS_PER_S = 1_000_000_000
WHOLE = re.compile(r"\d{1,15}")


class Mode(Enum):
    """One row per matching span, or one per trace that has a matching span."""

    SPAN = "span"
    TRACE = "trace"


@dataclass(frozen=True, slots=True)
class Window:
    """Span start times from `first_ns` to `last_ns`, both included."""

    first_ns: int
    last_ns: int

    @property
    def length_s(self) -> int:
        """Length in whole seconds."""
        return max(0, (self.last_ns - self.first_ns + NS_PER_S - 1) // NS_PER_S)


ALWAYS = Window(0, 2**63 - 1)


@dataclass(frozen=True, slots=True)
class Order:
    """Which column sorts the spans, and which end comes first."""

    column: str = "start_ns"
    descending: bool = True


@dataclass(frozen=True, slots=True)
class Parameters:
    """What the query string asks for."""

    window: Window
    limit: int
    order: Order = Order()
    mode: Mode = Mode.SPAN


def query_parameters(query: Mapping[str, str], settings: Settings) -> Parameters:
    """Read the parameters of `query_range`; raises Refusal."""
    check_region(query, settings)
    return Parameters(
        required_window(query, settings),
        limit(query, settings.default_limit, settings.max_limit),
        _order(query),
        _mode(query),
    )


def check_region(query: Mapping[str, str], settings: Settings) -> None:
    """Refuse a missing region with 400 and a foreign one with the 500 that Last9 answers."""
    region = query.get("region")
    if not region:
        raise Refusal(HTTPStatus.BAD_REQUEST, "region query parameter is required")
    if region != settings.region:
        raise Refusal(HTTPStatus.INTERNAL_SERVER_ERROR, "ERR_S3_CONFIG_MISSING")


def required_window(query: Mapping[str, str], settings: Settings) -> Window:
    """Read `start` and `end`, Unix seconds."""
    start_s, end_s = _seconds(query, "start"), _seconds(query, "end")
    closed = settings.window_end is WindowEnd.INCLUSIVE
    return Window(start_s * NS_PER_S, end_s * NS_PER_S - (0 if closed else 1))


def optional_window(query: Mapping[str, str], settings: Settings) -> Window:
    """Read `start` and `end`, or take all time when neither is given."""
    if "start" not in query and "end" not in query:
        return ALWAYS
    return required_window(query, settings)


def limit(query: Mapping[str, str], default: int, highest: int) -> int:
    """Read `limit`; more than the highest is cut without a word."""
    text = query.get("limit")
    if text is None:
        return min(default, highest)
    if not WHOLE.fullmatch(text) or int(text) == 0:
        raise Refusal(HTTPStatus.BAD_REQUEST, f"limit must be a positive integer, saw {text}")
    return min(int(text), highest)


def _seconds(query: Mapping[str, str], name: str) -> int:
    text = query.get(name, "")
    if not WHOLE.fullmatch(text):
        seen = text or "nothing"
        raise Refusal(HTTPStatus.BAD_REQUEST, f"{name} must be Unix seconds, saw {seen}")
    return int(text)


def _order(query: Mapping[str, str]) -> Order:
    """Read both dialects: `order=asc|desc`, and a field name with `direction`."""
    order, direction = query.get("order", "Timestamp"), query.get("direction", "backward")
    if direction not in ("backward", "forward"):
        text = f"direction must be backward or forward, saw {direction}"
        raise Refusal(HTTPStatus.BAD_REQUEST, text)
    if order in ("asc", "desc"):
        return Order(descending=order == "desc")
    columns = {"Timestamp": "start_ns", "Duration": "duration_ns"}
    if order not in columns:
        text = f"order must be asc, desc, Timestamp or Duration, saw {order}"
        raise Refusal(HTTPStatus.BAD_REQUEST, text)
    return Order(columns[order], direction == "backward")


def _mode(query: Mapping[str, str]) -> Mode:
    text = query.get("mode", Mode.SPAN.value)
    try:
        return Mode(text)
    except ValueError:
        raise Refusal(HTTPStatus.BAD_REQUEST, f"mode must be span or trace, saw {text}") from None

"""The query string of a traces query: region, window, limit, order."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

from tfy_last9.standins.last9.message import HTML, Refusal
from tfy_last9.standins.last9.settings import (
    DefaultOrder,
    Mode,
    Settings,
    WindowEnd,
    WindowStart,
    WrongRegion,
)
from tfy_last9.standins.last9.sql import Sql, fill

NS_PER_S = 1_000_000_000
WHOLE = re.compile(r"\d{1,15}")


MAINTENANCE = (
    "<!DOCTYPE html><html><head><title>Maintenance Mode</title></head>"
    "<body><h1>Maintenance Mode</h1></body></html>"
)


@dataclass(frozen=True, slots=True)
class Window:
    """Span start times from `first_ns` to `last_ns`, both included, as seen at one moment."""

    first_ns: int
    last_ns: int
    seen_ns: int | None = None
    """Spans that become visible later are left out; None where no span is ever held back."""

    def condition(self) -> Sql:
        """Write what a span has to fulfil to be inside."""
        inside = Sql("start_ns BETWEEN ? AND ?", (self.first_ns, self.last_ns))
        if self.seen_ns is None:
            return inside
        return fill("{} AND visible_ns <= {}", inside, Sql("?", (self.seen_ns,)))

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


def query_parameters(query: Mapping[str, str], settings: Settings, now_s: float) -> Parameters:
    """Read the parameters of `query_range`; raises Refusal."""
    check_region(query, settings)
    return Parameters(
        required_window(query, settings, now_s),
        limit(query, settings.default_limit, settings.max_limit),
        _order(query, settings.default_order),
        _mode(query, settings.default_mode),
    )


def check_region(query: Mapping[str, str], settings: Settings) -> None:
    """Refuse a missing region with 400 and a foreign one with the 5xx that Last9 answers."""
    region = query.get("region")
    if not region:
        raise Refusal(HTTPStatus.BAD_REQUEST, "region query parameter is required")
    if region == settings.region:
        return
    if settings.wrong_region is WrongRegion.MAINTENANCE:
        raise Refusal(HTTPStatus.BAD_GATEWAY, MAINTENANCE, HTML)
    raise Refusal(HTTPStatus.INTERNAL_SERVER_ERROR, "ERR_S3_CONFIG_MISSING")


def required_window(query: Mapping[str, str], settings: Settings, now_s: float) -> Window:
    """Read `start` and `end`, Unix seconds."""
    start_s, end_s = _seconds(query, "start"), _seconds(query, "end")
    if 0 < settings.max_range_s < end_s - start_s:
        text = f"the query is too heavy: {end_s - start_s} s are more than {settings.max_range_s}"
        raise Refusal(HTTPStatus.REQUEST_TIMEOUT, text)
    before_ns = 0 if settings.window_end is WindowEnd.INCLUSIVE else 1
    after_ns = 0 if settings.window_start is WindowStart.INCLUSIVE else 1
    window = Window(start_s * NS_PER_S + after_ns, end_s * NS_PER_S - before_ns)
    return _kept(window, settings, now_s)


def optional_window(query: Mapping[str, str], settings: Settings, now_s: float) -> Window:
    """Read `start` and `end`, or take all time when neither is given."""
    if "start" not in query and "end" not in query:
        return _kept(ALWAYS, settings, now_s)
    return required_window(query, settings, now_s)


def _kept(window: Window, settings: Settings, now_s: float) -> Window:
    """Cut a window to what is retained and visible."""
    now_ns = int(now_s * NS_PER_S)
    oldest_ns = now_ns - settings.retention_s * NS_PER_S
    held_back = settings.lag_ms or settings.spread_ms
    seen_ns = now_ns if held_back else None
    return Window(max(window.first_ns, oldest_ns), window.last_ns, seen_ns)


def limit(query: Mapping[str, str], default: int, highest: int, name: str = "limit") -> int:
    """Read a number of rows; more than the highest is cut without a word."""
    text = query.get(name)
    if text is None:
        return min(default, highest)
    if not WHOLE.fullmatch(text) or int(text) == 0:
        raise Refusal(HTTPStatus.BAD_REQUEST, f"{name} must be a positive integer, saw {text}")
    return min(int(text), highest)


def _seconds(query: Mapping[str, str], name: str) -> int:
    text = query.get(name, "")
    if not WHOLE.fullmatch(text):
        seen = text or "nothing"
        raise Refusal(HTTPStatus.BAD_REQUEST, f"{name} must be Unix seconds, saw {seen}")
    return int(text)


def _order(query: Mapping[str, str], default: DefaultOrder) -> Order:
    """Read both dialects: `order=asc|desc`, and a field name with `direction`."""
    standard = "backward" if default is DefaultOrder.NEWEST else "forward"
    order, direction = query.get("order", "Timestamp"), query.get("direction", standard)
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


def _mode(query: Mapping[str, str], default: Mode) -> Mode:
    text = query.get("mode", default.value)
    try:
        return Mode(text)
    except ValueError:
        raise Refusal(HTTPStatus.BAD_REQUEST, f"mode must be span or trace, saw {text}") from None

"""The PromQL routes of the API host: JSON bodies in, bare arrays out, sample values as text.

Last9's own client fails on a Prometheus envelope here (last9-mcp-server, internal/apm).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Any

from tfy_last9.standins.last9.message import Refusal, Reply, Request, json_reply
from tfy_last9.standins.last9.parameters import NS_PER_S, Window
from tfy_last9.standins.last9.promql.evaluation import Series, evaluate, reach_s
from tfy_last9.standins.last9.promql.language import (
    Expression,
    OverRange,
    Selector,
    Sum,
    Unsupported,
    parse,
)
from tfy_last9.standins.last9.promql.metrics import STEP_S, Metrics
from tfy_last9.standins.last9.reading import Reading, json_object

CREDENTIALS = ("read_url", "username", "password")
MOST_POINTS = 1440
LATEST_S = 9_000_000_000


@dataclass(frozen=True, slots=True)
class PromQueries:
    """Answers metric queries."""

    reading: Reading
    clock: Callable[[], float]

    async def instant(self, request: Request) -> Reply:
        """Evaluate at one instant."""
        body = _body(request, "query")
        at_s, expression = self._seconds(body, "timestamp"), _parsed(body["query"])
        rows = await self._evaluated(expression, [at_s])
        answer = [{"metric": dict(labels), "value": points[0]} for labels, points in rows]
        return json_reply(answer, rows=len(answer))

    async def over_range(self, request: Request) -> Reply:
        """Evaluate once a minute over `window` seconds up to `timestamp`."""
        body = _body(request, "query")
        end_s, length_s = self._seconds(body, "timestamp"), self._seconds(body, "window")
        expression = _parsed(body["query"])
        step_s = max(STEP_S, length_s // MOST_POINTS)
        first = -(-(end_s - length_s) // step_s)
        instants = [at * step_s for at in range(int(first), int(end_s // step_s) + 1)]
        rows = await self._evaluated(expression, instants)
        answer = [{"metric": dict(labels), "values": points} for labels, points in rows]
        return json_reply(answer, rows=len(answer))

    async def label_values(self, request: Request) -> Reply:
        """List the values of one label over the series that match."""
        body = _body(request, "label")
        matches = body.get("matches") or []
        if not isinstance(matches, list) or not all(isinstance(text, str) for text in matches):
            raise Refusal(HTTPStatus.BAD_REQUEST, "matches must be a list of selectors")
        selectors = [_selector(text) for text in matches]
        found = [series for s in selectors for series in await self._series(s, self._window(body))]
        values = {series.labels.get(body["label"], "") for series in found} - {""}
        return json_reply(sorted(values), rows=len(values))

    async def labels(self, request: Request) -> Reply:
        """List the labels of the series of one metric."""
        body = _body(request, "metric")
        found = await self._series(_selector(body["metric"]), self._window(body))
        names = {name for series in found for name in series.labels}
        return json_reply(sorted(names), rows=len(names))

    async def _evaluated(
        self, expression: Expression, instants: list[float]
    ) -> list[tuple[tuple[tuple[str, str], ...], list[list[object]]]]:
        if not instants:
            return []
        first_s = instants[0] - reach_s(expression)
        window = self._seen(first_s, instants[-1])
        kept: dict[Selector, list[Series]] = {}
        selector = _innermost(expression)
        kept[selector] = await self._series(selector, window)
        points: dict[tuple[tuple[str, str], ...], list[list[object]]] = {}
        for at_s in instants:
            for labels, value in evaluate(expression, at_s, kept.__getitem__):
                sample = [at_s, f"{value:.15g}"]
                points.setdefault(tuple(sorted(labels.items())), []).append(sample)
        return sorted(points.items())

    async def _series(self, selector: Selector, window: Window) -> list[Series]:
        metrics = Metrics(self.reading.settings, self.reading.fetched)
        every = await self.reading.off_loop(partial(metrics.series, selector.metric, window))
        return [s for s in every if all(matcher.holds(s.labels) for matcher in selector.matchers)]

    def _window(self, body: dict[str, Any]) -> Window:
        end_s, length_s = self._seconds(body, "timestamp"), self._seconds(body, "window")
        return self._seen(end_s - length_s, end_s)

    def _seen(self, first_s: float, last_s: float) -> Window:
        """Widen by the minute a sample stands for; spans later than its end are not in it yet."""
        first_ns = int((first_s - STEP_S) * NS_PER_S)
        settings = self.reading.settings
        held_back = settings.lag_ms or settings.spread_ms
        seen_ns = int(self.clock() * NS_PER_S) if held_back else None
        return Window(max(0, first_ns), int(last_s * NS_PER_S), seen_ns)

    def _seconds(self, body: dict[str, Any], name: str) -> float:
        default = self.clock() if name == "timestamp" else 3600
        value = body.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise Refusal(HTTPStatus.BAD_REQUEST, f"{name} must be a number of seconds")
        if not 0 <= value <= LATEST_S:
            raise Refusal(HTTPStatus.BAD_REQUEST, f"{name} is out of range: {value}")
        return float(value) if isinstance(value, float) else value


def _body(request: Request, wanted: str) -> dict[str, Any]:
    """Read the body, which carries the data source's credentials beside the query."""
    body = json_object(request.body)
    for name in (wanted, *CREDENTIALS):
        if not isinstance(body.get(name), str) or not body[name]:
            raise Refusal(HTTPStatus.BAD_REQUEST, f"{name} is required")
    return body


def _parsed(text: str) -> Expression:
    try:
        expression = parse(text)
    except Unsupported as error:
        raise Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, str(error)) from error
    if isinstance(expression, Selector) and expression.range_s is not None:
        text = "a range alone is not in the sandbox's subset; put it into rate or sum_over_time"
        raise Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, text)
    return expression


def _selector(text: str) -> Selector:
    expression = _parsed(text)
    if not isinstance(expression, Selector):
        raise Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, f"expected a selector, saw {text}")
    return expression


def _innermost(expression: Expression) -> Selector:
    if isinstance(expression, Sum):
        return _innermost(expression.inner)
    return expression.selector if isinstance(expression, OverRange) else expression

"""Series that Last9 derives from spans, one sample a minute, and the change events.

Durations are milliseconds, `quantile` holds words, and the three families split spans by kind
(last9-mcp-server, internal/apm). A sample is stamped with the end of its minute.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import orjson

from tfy_last9.standins.last9.events import METRIC as CHANGE_EVENTS
from tfy_last9.standins.last9.parameters import NS_PER_S, Window
from tfy_last9.standins.last9.promql.evaluation import Series
from tfy_last9.standins.last9.settings import Presence, Settings
from tfy_last9.standins.last9.sql import Sql, fill

STEP_S = 60
FAMILIES = {
    "endpoint": ("SPAN_KIND_SERVER", "SPAN_KIND_CONSUMER"),
    "client": ("SPAN_KIND_CLIENT", "SPAN_KIND_PRODUCER"),
    "internal": ("SPAN_KIND_INTERNAL", "SPAN_KIND_UNSPECIFIED"),
}
LABELS = {
    "service_name": "service",
    "env": "coalesce(environment, env, '')",
    "span_name": "name",
    "span_kind": "kind",
    "status_code": "status_code",
    "http_status_code": "coalesce(http_status, '')",
}
QUANTILES = {
    "p50": "quantile_cont(duration_ns, 0.5)",
    "p90": "quantile_cont(duration_ns, 0.9)",
    "p95": "quantile_cont(duration_ns, 0.95)",
    "avg": "avg(duration_ns)",
    "max": "max(duration_ns)",
}
P99 = {"p99": "quantile_cont(duration_ns, 0.99)"}
TOKENS = "gen_ai_client_token_usage_total"
TOKEN_LABELS = {"service_name": "service", "gen_ai_request_model": "coalesce(model_name, '')"}
TOKEN_KEYS = ("tfy.model.metric.input_tokens", "tfy.model.metric.output_tokens")

Run = Callable[[Sql], list[tuple[object, ...]]]


@dataclass(frozen=True, slots=True)
class Metrics:
    """Computes the series of a metric over a window."""

    settings: Settings
    run: Run

    def names(self) -> list[str]:
        """List the metrics that there are."""
        derived = [
            f"trace_{family}_{what}" for family in FAMILIES for what in ("count", "duration")
        ]
        tokens = [TOKENS] if self.settings.genai_metrics is Presence.ON else []
        return sorted([*derived, "trace_service_response_time", CHANGE_EVENTS, *tokens])

    def series(self, metric: str, window: Window) -> list[Series]:
        """Return the series of a metric; none for a metric that does not exist."""
        if metric not in self.names():
            return []
        if metric == CHANGE_EVENTS:
            return self._change_events(window)
        if metric == TOKENS:
            keys = [
                f"try_cast(json_extract_string(doc, '/SpanAttributes/{k}') AS DOUBLE)"
                for k in TOKEN_KEYS
            ]
            total = " + ".join(f"coalesce(sum({key}), 0)" for key in keys)
            return self._grouped(
                metric, {"": total}, TOKEN_LABELS, Sql("span_type = 'Model'"), window
            )
        if metric == "trace_service_response_time":
            labels = {name: LABELS[name] for name in ("service_name", "env")}
            return self._grouped(metric, self._quantiles(), labels, _kinds("endpoint"), window)
        _, family, what = metric.split("_")
        values = {"": "count(*)"} if what == "count" else self._quantiles()
        return self._grouped(metric, values, LABELS, _kinds(family), window)

    def _quantiles(self) -> dict[str, str]:
        words = QUANTILES | (P99 if self.settings.p99_quantile is Presence.ON else {})
        return {word: f"{expression} / 1e6" for word, expression in words.items()}

    def _grouped(
        self,
        metric: str,
        values: dict[str, str],
        labels: dict[str, str],
        condition: Sql,
        window: Window,
    ) -> list[Series]:
        """Compute one series per combination of labels and per word of `quantile`."""
        step_ns = STEP_S * NS_PER_S
        minute = f"(start_ns // {step_ns} + 1) * {STEP_S}"
        columns = [*labels.values(), minute, *values.values()]
        keys = ", ".join(str(at) for at in range(1, len(labels) + 2))
        sql = fill(
            f"SELECT {', '.join(columns)} FROM spans WHERE {{}} AND {{}} GROUP BY {keys} ORDER BY {keys}",  # noqa: S608 - our own constants
            condition,
            window.condition(),
        )
        found: dict[tuple[object, ...], list[tuple[float, float]]] = {}
        for row in self.run(sql):
            names, stamp, numbers = row[: len(labels)], row[len(labels)], row[len(labels) + 1 :]
            for word, number in zip(values, numbers, strict=True):
                found.setdefault((*names, word), []).append((float(str(stamp)), float(str(number))))
        return [
            Series(_labelled(metric, (*labels, "quantile"), key), tuple(samples))
            for key, samples in found.items()
        ]

    def _change_events(self, window: Window) -> list[Series]:
        sql = Sql(
            "SELECT labels, stamp_s, value FROM change_events WHERE stamp_s BETWEEN ? AND ? ORDER BY 2",
            (window.first_ns / NS_PER_S, window.last_ns / NS_PER_S),
        )
        found: dict[str, list[tuple[float, float]]] = {}
        for labels, stamp, value in self.run(sql):
            found.setdefault(str(labels), []).append((float(str(stamp)), float(str(value))))
        return [Series(orjson.loads(labels), tuple(all_)) for labels, all_ in found.items()]


def _kinds(family: str) -> Sql:
    return Sql("kind IN (?, ?)", FAMILIES[family])


def _labelled(metric: str, names: tuple[str, ...], values: tuple[object, ...]) -> dict[str, str]:
    """Put label names and values together; empty labels do not exist."""
    pairs = zip(names, map(str, values), strict=True)
    return {"__name__": metric} | {name: value for name, value in pairs if value}

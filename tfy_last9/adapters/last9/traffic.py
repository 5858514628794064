"""Read the shape of a gateway's traffic from Last9: a handful of aggregates, no span of anybody's prompt.

Where quantiles of attributes are not to be had, a sample of calls over the whole window stands in; which
virtual model reaches which is learnt from some of its traces.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from tfy_last9.adapters.last9.client import Last9Client, QueryRefused
from tfy_last9.adapters.last9.selecting import Selecting
from tfy_last9.arrivals.reshaped import bin_length_s
from tfy_last9.errors import BackendUnavailable, NothingArrived
from tfy_last9.model.run import Window
from tfy_last9.model.trace import Role, Span
from tfy_last9.model.traffic import Bin, Calls, Lengths, Route, Traffic
from tfy_last9.wire import last9_traffic as wire
from tfy_last9.wire.last9 import UnreadableAnswer
from tfy_last9.wire.last9_aggregates import as_count, read_groups
from tfy_last9.wire.last9_pipeline import Pipeline
from tfy_last9.wire.last9_queries import COUNT, model_spans, spans_of_traces
from tfy_last9.wire.span_identity import model_of, provider_of

INPUT_LEVELS = tuple((place + 0.5) / 20 for place in range(20))
OUTPUT_LEVELS = (0.125, 0.375, 0.625, 0.875)
MOST_BINS = 1_440
SLICES, ROWS_PER_SLICE = 12, 200
TRACES_PER_ROUTE = 50
_KEYS = ("tfy.model.fqn", "tfy.model.name", "gen_ai.provider.name", "gen_ai.system")
_NS_PER_S = 1_000_000_000
_NOBODY = Lengths((), 0, 0)

CallKey = tuple[str, str, bool]
"""Model, provider, streamed."""


class TrafficReader:
    """Asks one organisation about one service."""

    def __init__(self, client: Last9Client, service: str, limit: int) -> None:
        self._client = client
        self._service = service
        self._limit = limit
        self._selecting = Selecting(client, (), enabled=True)

    def read(self, window: Window) -> Traffic:
        """Return the traffic of a window. Raises `NothingArrived` where there was none."""
        try:
            return self._read(window)
        except UnreadableAnswer as error:
            raise BackendUnavailable(
                f"Last9's answer to an aggregate cannot be read: {error}"
            ) from error

    def _read(self, window: Window) -> Traffic:
        rows = self._rows(wire.requests_counted(self._service), window)
        (whole,) = wire.read_measures(rows, (), (wire.SLOW,)) or (wire.Measures((), {COUNT: 0}),)
        requests = as_count(whole.values[COUNT])
        if not requests:
            raise NothingArrived(
                f"Last9 shows no request at {self._service} in this time",
                hint="check the window, LAST9_REGION and LAST9_SERVICE: tfy-last9 doctor",
            )
        outputs, inputs, how = self._lengths(window)
        calls = self._calls(window, outputs)
        return Traffic(
            window=window,
            requests=requests,
            arrivals=self._arrivals(window),
            routes=self._routes(window, calls),
            calls=calls,
            input=inputs,
            duration_p99_s=whole.values.get(wire.SLOW, 0.0) / _NS_PER_S,
            how=how,
        )

    def _arrivals(self, window: Window) -> tuple[Bin, ...]:
        length_s = bin_length_s((window.end_ns - window.start_ns) / _NS_PER_S, MOST_BINS)
        rows = self._rows(wire.requests_over_time(self._service, length_s), window)
        groups = read_groups(rows, (), COUNT, over_time=True)
        if any(group.at_s is None for group in groups):
            raise UnreadableAnswer("a count over time does not say of which time")
        return tuple(
            Bin(group.at_s, length_s, as_count(group.value))
            for group in sorted(groups, key=lambda group: group.at_s or 0)
            if group.at_s is not None
        )

    def _calls(self, window: Window, outputs: dict[CallKey, Lengths]) -> tuple[Calls, ...]:
        counted: dict[CallKey, int] = defaultdict(int)
        for key, values in self._by_call(wire.calls_counted(self._service), window, ()):
            counted[key] += as_count(values[COUNT])
        spent = self._spent(window)
        return tuple(
            Calls(*key, n, outputs.get(key, _NOBODY), *spent.get(key, (0.0, 0)))
            for key, n in sorted(counted.items())
        )

    def _spent(self, window: Window) -> dict[CallKey, tuple[float, int]]:
        """Return USD and how many calls carry a price; nothing where Last9 adds up no attributes."""
        found: dict[CallKey, tuple[float, int]] = {}
        try:
            for key, values in self._by_call(wire.costs(self._service), window, (wire.SUM,)):
                usd, n = found.get(key, (0.0, 0))
                if wire.SUM in values:  # an answer that shows no sum is no price of zero
                    found[key] = usd + values[wire.SUM], n + as_count(values[COUNT])
        except (QueryRefused, UnreadableAnswer):
            return {}
        return found

    def _lengths(self, window: Window) -> tuple[dict[CallKey, Lengths], Lengths, str]:
        try:
            return (*self._aggregated(window), "counted by Last9 over every call")
        except (QueryRefused, UnreadableAnswer):
            calls = self._sampled(window)
            outputs: dict[CallKey, list[int]] = defaultdict(list)
            for span in calls:
                key = _key_of_span(span)
                tokens = _tokens(span, wire.OUTPUT.text)
                if key is not None and tokens is not None:
                    outputs[key].append(tokens)
            inputs = [n for span in calls if (n := _tokens(span, wire.INPUT.text)) is not None]
            how = f"from a sample of {len(calls):,} calls: Last9 gives no quantiles of attributes"
            lengths = {key: _of_sample(found, OUTPUT_LEVELS) for key, found in outputs.items()}
            return lengths, _of_sample(inputs, INPUT_LEVELS), how

    def _aggregated(self, window: Window) -> tuple[dict[CallKey, Lengths], Lengths]:
        names = (wire.SUM, *wire.quantile_names(OUTPUT_LEVELS))
        outputs = {
            key: _of_values(values, OUTPUT_LEVELS)
            for key, values in self._by_call(
                wire.output_lengths(self._service, OUTPUT_LEVELS), window, names
            )
        }
        names = (wire.SUM, *wire.quantile_names(INPUT_LEVELS))
        rows = self._rows(wire.input_lengths(self._service, INPUT_LEVELS), window)
        found = wire.read_measures(rows, (), names)
        return outputs, _of_values(found[0].values, INPUT_LEVELS) if found else _NOBODY

    def _routes(self, window: Window, calls: Iterable[Calls]) -> tuple[Route, ...]:
        rows = self._rows(wire.requests_by_route(self._service), window)
        known = {one.model for one in calls}
        found = []
        for measures in wire.read_measures(rows, ("route",), ()):
            (name,) = measures.labels
            if name:
                reaches = () if name in known else self._reached(name, window)
                found.append(Route(name, as_count(measures.values[COUNT]), reaches))
        return tuple(sorted(found, key=lambda route: (-route.requests, route.name)))

    def _reached(self, route: str, window: Window) -> tuple[str, ...]:
        """Return the models that served some requests of a route."""
        asked = wire.requests_of_route(self._service, route)
        roots = self._selecting.spans(asked, *_seconds(window), TRACES_PER_ROUTE).spans
        traces = sorted({span.trace_id for span in roots})
        if not traces:
            return ()
        query = spans_of_traces(self._service, traces)
        spans = self._selecting.spans(query, *_seconds(window), self._limit).spans
        served = {span.model for span in spans if span.role is Role.MODEL and span.model}
        return tuple(sorted(served))

    def _sampled(self, window: Window) -> list[Span]:
        """Return some calls from every part of the window."""
        start_s, end_s = _seconds(window)
        step = max(1, (end_s - start_s) // SLICES)
        found: list[Span] = []
        for left in range(start_s, end_s, step):
            reading = self._selecting.spans(
                model_spans(self._service), left, min(left + step, end_s), ROWS_PER_SLICE
            )
            found += reading.spans
        return found

    def _by_call(
        self, pipeline: Pipeline, window: Window, names: Sequence[str]
    ) -> list[tuple[CallKey, dict[str, float]]]:
        aliases = [alias for _, alias in wire.CALL_GROUPS]
        found = []
        for measures in wire.read_measures(self._rows(pipeline, window), aliases, names):
            *identity, streaming = measures.labels
            key = _key(dict(zip(_KEYS, identity, strict=True)), streaming)
            if key is not None:
                found.append((key, dict(measures.values)))
        return found

    def _rows(self, pipeline: Pipeline, window: Window) -> list[object]:
        rows = self._client.query(pipeline.document(), *_seconds(window), self._limit)
        if len(rows) >= self._limit:
            raise BackendUnavailable(f"an aggregate has {len(rows)} groups: it may have been cut")
        return rows


def _key(identity: dict[str, str], streaming: str) -> CallKey | None:
    attributes = {key: value for key, value in identity.items() if value}
    model, provider = model_of(attributes), provider_of(Role.MODEL, "", attributes)
    if model is None or provider is None:
        return None
    return model, provider, wire.is_streamed(streaming)


def _key_of_span(span: Span) -> CallKey | None:
    if span.role is not Role.MODEL or span.model is None or span.provider is None:
        return None
    streaming = str(span.attributes.get("tfy.model.streaming", ""))
    return span.model, span.provider, wire.is_streamed(streaming)


def _tokens(span: Span, field: str) -> int | None:
    value = span.attributes.get(field.removeprefix("attributes['").removesuffix("']"))
    return round(value) if isinstance(value, int | float) and value >= 0 else None


def _of_values(values: Mapping[str, float], levels: Sequence[float]) -> Lengths:
    tokens = wire.as_tokens(values, levels)
    if len(tokens) < len(levels) or wire.SUM not in values:
        raise UnreadableAnswer("an aggregate shows a count and not what else was asked for")
    return Lengths(tokens, round(values.get(wire.SUM, 0.0)), as_count(values[COUNT]))


def _of_sample(found: list[int], levels: Sequence[float]) -> Lengths:
    ordered = sorted(found)
    if not ordered:
        return _NOBODY
    values = tuple(ordered[min(len(ordered) - 1, int(level * len(ordered)))] for level in levels)
    return Lengths(values, sum(ordered), len(ordered))


def _seconds(window: Window) -> tuple[int, int]:
    return window.start_ns // _NS_PER_S, -(-window.end_ns // _NS_PER_S)

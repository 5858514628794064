"""The queries that ask for the shape of traffic, and what their answers hold.

One aggregate per question over the whole window: parts of an aggregate cannot be put together again.
Quantiles of attributes are asked as of numbers; that Last9 compares its attribute texts as numbers is what
its own client relies on for filters (last9/last9-mcp-server), for quantiles it is inferred.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from tfy_last9.wire.last9 import UnreadableAnswer
from tfy_last9.wire.last9_aggregates import read_groups
from tfy_last9.wire.last9_fields import (
    DURATION,
    PARENT_SPAN_ID,
    SERVICE_NAME,
    Field,
    attribute,
)
from tfy_last9.wire.last9_filters import Condition, all_of, any_of, equals, exists, is_absent
from tfy_last9.wire.last9_pipeline import (
    Function,
    Pipeline,
    Statistic,
    Unit,
    count,
    quantile,
    statistic,
    where,
)
from tfy_last9.wire.last9_queries import COUNT, PROVIDER_GROUPS, model_conditions

ROUTE = attribute("tfy.request.model_name")
STREAMING = attribute("tfy.model.streaming")
INPUT = attribute("tfy.model.metric.input_tokens")
OUTPUT = attribute("tfy.model.metric.output_tokens")
COST = attribute("tfy.model.metric.cost_in_usd")
SUM = "total"
SLOW = "slow_ns"
IDENTITY = tuple(pair for pair in PROVIDER_GROUPS if pair[1] != "status")
"""What tells the model and provider of a call."""
CALL_GROUPS = (*IDENTITY, (STREAMING, "streaming"))


@dataclass(frozen=True, slots=True)
class Measures:
    """One group of an aggregate with several numbers."""

    labels: tuple[str, ...]
    values: Mapping[str, float]
    """By alias; what a row does not show is absent."""


def requests_over_time(service: str, size_s: int) -> Pipeline:
    """Return the query that counts requests per stretch of `size_s` seconds."""
    return where(all_of(*_requests(service))).window_aggregate(
        count(), COUNT, (size_s, Unit.SECONDS)
    )


def requests_counted(service: str) -> Pipeline:
    """Return the query for the number of requests and how long the slow ones take."""
    wanted = [(count(), COUNT), (quantile(0.99, DURATION), SLOW)]
    return where(all_of(*_requests(service))).aggregate(wanted)


def requests_by_route(service: str) -> Pipeline:
    """Return the query that counts what clients asked for."""
    return where(all_of(*_requests(service))).aggregate([(count(), COUNT)], [(ROUTE, "route")])


def requests_of_route(service: str, route: str) -> Pipeline:
    """Return the query for the requests that asked for a model by this name."""
    return where(all_of(*_requests(service), equals(ROUTE, route)))


def calls_counted(service: str) -> Pipeline:
    """Return the query that counts calls by model and by whether they were streamed."""
    return _calls(service).aggregate([(count(), COUNT)], CALL_GROUPS)


def costs(service: str) -> Pipeline:
    """Return the query that adds up what calls cost, over those that say so."""
    wanted = [(count(), COUNT), (statistic(Statistic.SUM, COST), SUM)]
    return _calls(service, exists(COST)).aggregate(wanted, CALL_GROUPS)


def output_lengths(service: str, levels: Sequence[float]) -> Pipeline:
    """Return the query for output tokens by model: sum and quantiles."""
    return _lengths(service, OUTPUT, levels).aggregate(_wanted(OUTPUT, levels), CALL_GROUPS)


def input_lengths(service: str, levels: Sequence[float]) -> Pipeline:
    """Return the query for input tokens of all calls: sum and quantiles."""
    return _lengths(service, INPUT, levels).aggregate(_wanted(INPUT, levels))


def quantile_names(levels: Sequence[float]) -> tuple[str, ...]:
    """Return the aliases of quantiles, in their order."""
    return tuple(f"q{place}" for place, _ in enumerate(levels))


def read_measures(
    rows: Sequence[object], groups: Sequence[str], names: Sequence[str]
) -> tuple[Measures, ...]:
    """Return the groups of an answer with every number it shows; the count is always there."""
    found: dict[tuple[str, ...], dict[str, float]] = {}
    for group in read_groups(rows, groups, COUNT):
        found[group.labels] = {COUNT: group.value}
    for name in names:
        shown = [row for row in rows if _shows(row, name)]
        for group in read_groups(shown, groups, name):
            found[group.labels][name] = group.value
    return tuple(Measures(labels, values) for labels, values in found.items())


def is_streamed(text: str) -> bool:
    """Tell what `tfy.model.streaming` says; a call that does not say was not streamed."""
    return text.strip().lower() in {"true", "1"}


def as_tokens(values: Mapping[str, float], levels: Sequence[float]) -> tuple[int, ...]:
    """Return quantiles as whole tokens, in order. Raises `UnreadableAnswer` for what cannot be a length."""
    found = []
    for name in quantile_names(levels):
        with suppress(KeyError):
            found.append(values[name])
    if any(value < 0 for value in found) or found != sorted(found):
        raise UnreadableAnswer(f"quantiles of tokens that do not grow: {found}")
    return tuple(round(value) for value in found)


def _shows(row: object, name: str) -> bool:
    if not isinstance(row, Mapping):
        return False
    metric = row.get("metric")
    places = [place for place in (metric, row) if isinstance(place, Mapping)]
    return any(place.get(name) is not None for place in places)


def _wanted(field: Field[str], levels: Sequence[float]) -> list[tuple[Function, str]]:
    quantiles = [
        (quantile(level, field), name)
        for level, name in zip(levels, quantile_names(levels), strict=True)
    ]
    return [(count(), COUNT), (statistic(Statistic.SUM, field), SUM), *quantiles]


def _lengths(service: str, field: Field[str], levels: Sequence[float]) -> Pipeline:
    if not levels:
        raise ValueError("no quantile was asked for")
    return _calls(service, exists(field))


def _calls(service: str, *more: Condition) -> Pipeline:
    return where(all_of(*model_conditions(service), *more))


def _requests(service: str) -> tuple[Condition, Condition]:
    """Return what tells a request: with a parent of the caller's, only the model's name does."""
    return equals(SERVICE_NAME, service), any_of(is_absent(PARENT_SPAN_ID), exists(ROUTE))

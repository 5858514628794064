"""The counts strategy: Last9 counts for each objective and provider, in one aggregate each.

An aggregate is asked for once over the whole judged time; a sum of windows may count twice. It counts
every call at the gateway, so that it is only used while nobody else's requests are there.
"""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

from tfy_last9.adapters.last9.client import Last9Client
from tfy_last9.errors import BackendUnavailable, HarnessError
from tfy_last9.model.objective import Book, Objective, Operator, Ratio, Threshold
from tfy_last9.model.run import Counted, Window
from tfy_last9.model.trace import Role, Span
from tfy_last9.wire import span_values
from tfy_last9.wire.last9 import UnreadableAnswer
from tfy_last9.wire.last9_aggregates import as_count, read_count, read_groups
from tfy_last9.wire.last9_pipeline import Pipeline
from tfy_last9.wire.last9_queries import (
    COUNT,
    PROVIDER_GROUPS,
    model_spans_by_provider,
    roots_counted,
    slow_model_spans_by_provider,
)
from tfy_last9.wire.span_identity import provider_of

NONE = "(none)"
_KEYS = ("tfy.model.fqn", "tfy.model.name", "gen_ai.provider.name", "gen_ai.system")
_NS_PER_MS = 1_000_000
_MISSES: dict[Operator, Callable[[float, float], bool]] = {
    Operator.LTE: operator.gt,
    Operator.LT: operator.ge,
    Operator.GTE: operator.lt,
    Operator.GT: operator.le,
}
"""A bad value misses what an objective's operator promises."""

Calls = Counter[tuple[str, str]]
"""Calls of a model by provider and status."""


def is_countable(objective: Objective) -> bool:
    """Tell whether Last9 can count an objective: errors or durations of calls, by provider or at all."""
    indicator = objective.indicator
    if not isinstance(indicator, Ratio | Threshold):
        return False
    population = indicator.population
    is_plain = population.book is Book.LAST9 and population.span is Role.MODEL
    if not is_plain or population.where or objective.group_by not in ((), ("provider",)):
        return False
    if isinstance(indicator, Threshold):
        return indicator.field == "duration_ms"
    plain_errors = [(condition.field, condition.values) for condition in indicator.bad]
    return indicator.good is None and plain_errors == [("status", ("error",))]


class Counting:
    """Asks for counts over one window of whole seconds."""

    def __init__(self, client: Last9Client, service: str, limit: int) -> None:
        self._client = client
        self._service = service
        self._limit = limit

    def is_exclusive(self, run_id: str, window: Window) -> bool:
        """Tell whether every request at the gateway in the window belongs to the run."""
        own = self._count(roots_counted(self._service, run_id), window)
        return 0 < own == self._count(roots_counted(self._service, None), window)

    def objectives(
        self, objectives: Iterable[Objective], window: Window, also: Sequence[Span] = ()
    ) -> tuple[Counted, ...]:
        """Return the counts of the objectives that Last9 can count; `also` are calls outside the window."""
        wanted = [objective for objective in objectives if is_countable(objective)]
        if not wanted:
            return ()
        calls = self._calls(model_spans_by_provider(self._service), window) + _calls_of(also)
        return tuple(
            counted
            for objective in wanted
            for counted in self._counted(objective, calls, window, also)
        )

    def _counted(
        self, objective: Objective, calls: Calls, window: Window, also: Sequence[Span]
    ) -> list[Counted]:
        indicator = objective.indicator
        if isinstance(indicator, Threshold):
            limit_ns = indicator.limit * _NS_PER_MS
            query = slow_model_spans_by_provider(self._service, indicator.op.value, limit_ns)
            misses = _MISSES[indicator.op]
            missed = _calls_of(span for span in also if misses(span.duration_ns, limit_ns))
            bad = _by_provider(self._calls(query, window) + missed, errors=False)
            total, excluded = _by_provider(calls, errors=False), _by_provider(calls, errors=True)
        else:
            bad = _by_provider(calls, errors=True)
            total, excluded = bad + _by_provider(calls, errors=False), Counter[str]()
        if not objective.group_by:
            sums = total.total(), bad.total(), excluded.total()
            return [Counted(objective.name, (), *sums)]
        return [
            Counted(objective.name, (name,), total[name], bad[name], excluded[name])
            for name in sorted(total.keys() | excluded.keys())
        ]

    def _calls(self, query: Pipeline, window: Window) -> Calls:
        names = [name for _, name in PROVIDER_GROUPS]
        rows = self._rows(query, window)
        if len(rows) >= self._limit:
            raise HarnessError(f"an aggregate has {len(rows)} groups: it may have been cut")
        found: Calls = Counter()
        try:
            for group in read_groups(rows, names, COUNT):
                *identity, status = group.labels
                provider = _provider(dict(zip(_KEYS, identity, strict=True)))
                found[provider, span_values.status(status).value] += as_count(group.value)
        except (UnreadableAnswer, span_values.UnreadableValue) as error:
            raise BackendUnavailable(
                f"Last9's answer to an aggregate cannot be read: {error}"
            ) from error
        return found

    def _count(self, query: Pipeline, window: Window) -> int:
        try:
            return read_count(self._rows(query, window), COUNT)
        except UnreadableAnswer as error:
            raise BackendUnavailable(
                f"Last9's answer to a count cannot be read: {error}"
            ) from error

    def _rows(self, query: Pipeline, window: Window) -> list[object]:
        start_s, end_s = window.start_ns // 10**9, -(-window.end_ns // 10**9)
        return self._client.query(query.document(), start_s, end_s, self._limit)


def _calls_of(spans: Iterable[Span]) -> Calls:
    return Counter((_provider(span.attributes), span.status.value) for span in spans)


def _provider(attributes: Mapping[str, object]) -> str:
    """Return the provider by the attributes that are grouped by, and no others."""
    given = {key: value for key in _KEYS if (value := attributes.get(key))}
    return provider_of(Role.MODEL, "", given) or NONE


def _by_provider(calls: Calls, *, errors: bool) -> Counter[str]:
    found: Counter[str] = Counter()
    for (provider, status), n in calls.items():
        if (status == "error") is errors:
            found[provider] += n
    return found

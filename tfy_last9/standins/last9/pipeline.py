"""A pipeline of stages -> one SQL statement over the span table. Pure: no database, no clock.

Spans come back as the stored documents; aggregates come back as columns with the aliases that the
query gave them. What `select` does to an answer is not public: presentation.py has the choices.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from tfy_last9.standins.last9.aggregates import aggregate
from tfy_last9.standins.last9.conditions import filter_condition
from tfy_last9.standins.last9.derived import Derivation, checked, resolver, selected
from tfy_last9.standins.last9.fields import BadPipeline, Field, Resolve
from tfy_last9.standins.last9.parameters import Order, Parameters, Window
from tfy_last9.standins.last9.parsing import parsed
from tfy_last9.standins.last9.settings import GroupOrder, Mode
from tfy_last9.standins.last9.sql import TRUE, Sql, fill, join
from tfy_last9.standins.last9.transforms import transformed

FILTERS = ("filter", "where")
UNIT_S = {"seconds": 1, "minutes": 60, "hours": 3600}
COUNT = re.compile("[1-9][0-9]{0,5}")
STAMP = "__ts__"


class Kind(Enum):
    """How a column is written in the answer."""

    TEXT = "text"
    NUMBER = "number"


@dataclass(frozen=True, slots=True)
class Column:
    """One column of an aggregate: the alias from the query, the expression behind it."""

    alias: str
    kind: Kind
    expression: Sql


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL ready to run; `columns` is None when the rows are span documents."""

    sql: Sql
    columns: tuple[Column, ...] | None
    selected: Mapping[str, str] | None = None
    """Field -> alias of a `select` stage, for rows that are spans."""
    derived: tuple[Derivation, ...] = ()
    """Made fields, a column each after the span document."""


@dataclass(frozen=True, slots=True)
class Groups:
    """How many rows an aggregate may have, and in which order they come."""

    limit: int | None = None
    """None leaves them all."""
    order: GroupOrder = GroupOrder.SORTED


@dataclass(frozen=True, slots=True)
class Draft:
    """A statement being built, stage by stage."""

    resolve: Resolve
    span_s: int
    conditions: tuple[Sql, ...]
    columns: tuple[Column, ...] | None = None
    havings: tuple[Sql, ...] = ()
    selected: Mapping[str, str] | None = None
    derived: tuple[Derivation, ...] = ()

    def with_fields(self, made: list[Derivation]) -> Draft:
        """Add made fields, which later stages can read."""
        if self.columns is not None:
            raise BadPipeline("parse and transform belong before an aggregate")
        known = resolver(self.resolve, checked(made))
        return replace(self, resolve=known, derived=(*self.derived, *made))


def compile_pipeline(
    stages: object, parameters: Parameters, resolve: Resolve, groups: Groups
) -> Statement:
    """Compile the stages; raises BadPipeline."""
    draft = drafted(stages, parameters.window, resolve)
    if parameters.mode is Mode.TRACE and (draft.columns or draft.derived):
        raise BadPipeline("mode=trace takes filters only; parse and aggregate with mode=span")
    if draft.columns is None:
        return _spans(draft, parameters)
    return _matrix(draft, draft.columns, groups)


def drafted(stages: object, window: Window, resolve: Resolve) -> Draft:
    """Read the stages over a window; raises BadPipeline."""
    draft = Draft(resolve, window.length_s, (window.condition(),))
    for position, stage in enumerate(checked_stages(stages)):
        kind = stage["type"]
        if position == 0 and kind not in FILTERS:
            raise BadPipeline(f"the first stage must be a filter, saw {kind}")
        draft = STAGES[kind](draft, stage)
    return draft


def matching(stages: object, window: Window, resolve: Resolve) -> Sql:
    """Compile a pipeline that may only filter into the condition of its spans.

    The endpoints beside `query_range` take it; Last9's own client sends them conditions without the
    logical operator around that `query_range` insists on.
    """
    draft = drafted(_wrapped(stages), window, resolve)
    if draft.columns is not None or draft.derived:
        raise BadPipeline("this endpoint takes filter stages only")
    return join(" AND ", draft.conditions)


def _wrapped(stages: object) -> object:
    if not isinstance(stages, list):
        return stages
    return [
        {**stage, "query": {"$and": [stage["query"]]}}
        if isinstance(stage, dict) and isinstance(stage.get("query"), dict) and stage["query"]
        else stage
        for stage in stages
    ]


def checked_stages(stages: object) -> list[dict[str, Any]]:
    """Return the stages, each an object with a supported `type`."""
    if not isinstance(stages, list):
        raise BadPipeline("pipeline must be a list of stages")
    for stage in stages:
        if not isinstance(stage, dict) or not isinstance(stage.get("type"), str):
            raise BadPipeline("a stage is an object with a type")
        if stage["type"] not in STAGES:
            raise BadPipeline(f"stage type {stage['type']} is not supported by the sandbox")
    return stages


def _filter(draft: Draft, stage: Mapping[str, Any]) -> Draft:
    _keys(stage, required={"type", "query"})
    if draft.columns is None:
        condition = filter_condition(stage["query"], draft.resolve)
        return replace(draft, conditions=(*draft.conditions, condition))
    having = filter_condition(stage["query"], _alias_resolver(draft.columns))
    return replace(draft, havings=(*draft.havings, having))


def _select(draft: Draft, stage: Mapping[str, Any]) -> Draft:
    _keys(stage, required={"type", "labels"})
    return replace(draft, selected=_labels("labels", stage["labels"]))


def _parse(draft: Draft, stage: Mapping[str, Any]) -> Draft:
    _keys(stage, required={"type", "parser"}, optional={"pattern", "labels", "field"})
    return draft.with_fields(parsed(stage, draft.resolve))


def _transform(draft: Draft, stage: Mapping[str, Any]) -> Draft:
    _keys(stage, required={"type", "transforms"})
    return draft.with_fields(transformed(stage, draft.resolve))


def _aggregate(draft: Draft, stage: Mapping[str, Any]) -> Draft:
    _keys(stage, required={"type", "aggregates"}, optional={"groupby"})
    if not isinstance(stage["aggregates"], list) or not stage["aggregates"]:
        raise BadPipeline("aggregates must be a list of {function, as}")
    numbers = []
    for item in stage["aggregates"]:
        if not isinstance(item, dict):
            raise BadPipeline("an aggregate is an object with function and as")
        _keys(item, required={"function", "as"})
        numbers.append(_number_column(item, draft, draft.span_s))
    return _grouped(draft, (*_group_columns(draft, stage), *numbers))


def _window_aggregate(draft: Draft, stage: Mapping[str, Any]) -> Draft:
    _keys(stage, required={"type", "function", "as", "window"}, optional={"groupby"})
    length_s = _window_length_s(stage["window"])
    step_ns = length_s * 1_000_000_000
    stamp = Sql(f"CAST((start_ns // {step_ns}) * {length_s} AS VARCHAR)")
    columns = (Column(STAMP, Kind.TEXT, stamp), *_group_columns(draft, stage))
    return _grouped(draft, (*columns, _number_column(stage, draft, length_s)))


def _window_length_s(window: object) -> int:
    match window:
        case [str(count), str(unit)] if unit in UNIT_S and COUNT.fullmatch(count):
            return int(count) * UNIT_S[unit]
    raise BadPipeline(f'window is such as ["1", "minutes"] ({", ".join(UNIT_S)}), saw {window!r}')


def _number_column(item: Mapping[str, Any], draft: Draft, span_s: int) -> Column:
    if not isinstance(item["as"], str) or not item["as"]:
        raise BadPipeline("as must be a name")
    return Column(item["as"], Kind.NUMBER, aggregate(item["function"], draft.resolve, span_s))


def _group_columns(draft: Draft, stage: Mapping[str, Any]) -> tuple[Column, ...]:
    labels = _labels("groupby", stage.get("groupby", {}))
    return tuple(
        Column(alias, Kind.TEXT, draft.resolve(field).text) for field, alias in labels.items()
    )


def _labels(key: str, value: object) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(alias, str) for alias in value.values()):
        raise BadPipeline(f"{key} is an object of field: alias")
    return value


def _grouped(draft: Draft, columns: tuple[Column, ...]) -> Draft:
    if draft.columns is not None:
        raise BadPipeline("only one aggregate stage is supported by the sandbox")
    if len({column.alias for column in columns}) < len(columns):
        raise BadPipeline("two columns have the same alias")
    return replace(draft, columns=columns)


def _keys(
    given: Mapping[str, Any], required: set[str], optional: frozenset[str] | set[str] = frozenset()
) -> None:
    """Refuse misspelt and missing keys, as Last9 does (`aggregations`, `group_by`, `alias`)."""
    if unknown := sorted(given.keys() - required - optional):
        raise BadPipeline(f"unknown key {unknown[0]}, expected {', '.join(sorted(required))}")
    if missing := sorted(required - given.keys()):
        raise BadPipeline(f"missing key {missing[0]}")


def _alias_resolver(columns: tuple[Column, ...]) -> Resolve:
    names = {column.alias: f"c{index}" for index, column in enumerate(columns)}

    def resolve(name: str) -> Field:
        if name not in names:
            raise BadPipeline(f"after an aggregate only its aliases exist, saw {name}")
        column = Sql(names[name])
        text = fill("coalesce(CAST({} AS VARCHAR), '')", column)
        return Field(text, fill("try_cast({} AS DOUBLE)", column))

    return resolve


def _spans(draft: Draft, parameters: Parameters) -> Statement:
    where = join(" AND ", draft.conditions)
    if parameters.mode is Mode.TRACE:
        traces = fill("SELECT trace_id FROM spans WHERE {}", where)
        where = fill("parent_span_id = '' AND trace_id IN ({})", traces)
    columns = join(", ", (Sql("doc"), *selected(draft.derived)))
    order = _sort(parameters.order)
    sql = fill("SELECT {} FROM spans WHERE {} ORDER BY {}", columns, where, order)
    return Statement(_limited(sql, parameters.limit), None, draft.selected, draft.derived)


def _sort(order: Order) -> Sql:
    way = "DESC" if order.descending else "ASC"
    return Sql(f"{order.column} {way}, span_id")


def _matrix(draft: Draft, columns: tuple[Column, ...], wanted: Groups) -> Statement:
    named = [fill(f"{{}} AS c{index}", c.expression) for index, c in enumerate(columns)]
    groups = [str(at) for at, column in enumerate(columns, 1) if column.kind is Kind.TEXT]
    sql = fill("SELECT {} FROM spans WHERE {}", join(", ", named), join(" AND ", draft.conditions))
    # No span at all is an empty answer, not a count of zero.
    grouping = f" GROUP BY {', '.join(groups)}" if groups else ""
    sql = fill(f"{{}}{grouping} HAVING count(*) > 0", sql)
    sql = fill("SELECT * FROM ({}) WHERE {}", sql, join(" AND ", draft.havings or (TRUE,)))
    if groups:
        keys = ", ".join(groups)
        shuffled = ", ".join(f"hash(c{int(at) - 1})" for at in groups)
        keys = keys if wanted.order is GroupOrder.SORTED else shuffled
        sql = fill(f"{{}} ORDER BY {keys}", sql)
    return Statement(sql if wanted.limit is None else _limited(sql, wanted.limit), columns)


def _limited(sql: Sql, rows: int) -> Sql:
    return fill("{} LIMIT {}", sql, Sql("?", (rows,)))


STAGES: dict[str, Callable[[Draft, Mapping[str, Any]], Draft]] = {
    "filter": _filter,
    "where": _filter,
    "parse": _parse,
    "transform": _transform,
    "select": _select,
    "aggregate": _aggregate,
    "window_aggregate": _window_aggregate,
}

"""Stages and aggregates of Last9's trace pipelines, as records that cannot be misspelt.

Wrong keys inside a stage are answered with 400, so that stages are built here and nowhere else (source
of the forms: last9/last9-mcp-server, input_schema.go and references/tracejson.md). The first stage is a
filter with a logical operator on top; after an aggregate a filter speaks of aliases.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from tfy_last9.wire.last9_fields import TRACE_ID, AnyField, Field, checked_alias, number
from tfy_last9.wire.last9_filters import Condition, all_of, exists

Document = dict[str, object]
Stage = dict[str, object]


@dataclass(frozen=True, slots=True)
class Function:
    """A function call inside an aggregate or a transform. Made by the functions below only."""

    name: str
    arguments: tuple[object, ...]
    is_aggregate: bool = True

    def document(self) -> dict[str, list[object]]:
        """Return the JSON data."""
        return {self.name: list(self.arguments)}


class Unit(StrEnum):
    """Units of a window."""

    SECONDS = "seconds"
    MINUTES = "minutes"
    HOURS = "hours"


class Statistic(StrEnum):
    """Aggregates of one field."""

    SUM = "$sum"
    AVG = "$avg"
    MIN = "$min"
    MAX = "$max"
    MEDIAN = "$median"
    STDDEV = "$stddev"
    STDDEV_POP = "$stddev_pop"
    VARIANCE = "$variance"
    VARIANCE_POP = "$variance_pop"


def count() -> Function:
    """Count spans."""
    return Function("$count", ())


def rate() -> Function:
    """Spans per second."""
    return Function("$rate", ())


def statistic(which: Statistic, field: AnyField) -> Function:
    """Reduce one field."""
    return Function(Statistic(which).value, (field.text,))


def quantile(p: float, field: AnyField, *, exact: bool = True) -> Function:
    """Return the p-quantile, p in (0, 1); the inexact form is presumably an approximation."""
    if not 0.0 < p < 1.0:
        raise ValueError(f"a quantile is between 0 and 1: {p}")
    return Function("$quantile_exact" if exact else "$quantile", (p, field.text))


def apdex_score(threshold: float, field: AnyField) -> Function:
    """Score satisfaction; the unit of the threshold is not documented."""
    number(threshold)
    return Function("$apdex_score", (threshold, field.text))


def split(field: Field[str], delimiter: str, index: int) -> Function:
    """Take one part of a text."""
    return Function("$split", (field.text, delimiter, index), is_aggregate=False)


def split_into(field: Field[str], delimiter: str) -> Function:
    """Take all parts of a text; the transform's `names` name them."""
    return Function("$split_into", (field.text, delimiter), is_aggregate=False)


def concat(*fields: Field[str]) -> Function:
    """Put texts together."""
    return Function("$concat", tuple(field.text for field in fields), is_aggregate=False)


def join(separator: str, *fields: Field[str]) -> Function:
    """Put texts together with a separator."""
    texts = (field.text for field in fields)
    return Function("$join", (separator, *texts), is_aggregate=False)


def replace_regex(field: Field[str], pattern: str, replacement: str) -> Function:
    """Replace what a pattern finds."""
    return Function("$replace_regex", (field.text, pattern, replacement), is_aggregate=False)


def length(field: Field[str]) -> Function:
    """Return the length of a text."""
    return Function("$length", (field.text,), is_aggregate=False)


def array_element(field: Field[str], index: int) -> Function:
    """Return one element of an array."""
    return Function("$arrayElement", (field.text, index), is_aggregate=False)


Groups = Sequence[tuple[AnyField, str]]
"""Fields to group or select, each with its alias."""


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Stages in order; every method returns a longer pipeline."""

    stages: tuple[Stage, ...]

    def document(self) -> Document:
        """Return the request body."""
        return {"pipeline": list(self.stages)}

    def having(self, condition: Condition) -> Pipeline:
        """Filter again; after an aggregate the condition speaks of aliases."""
        return self._then(_filter("filter", condition))

    def select(self, fields: Groups) -> Pipeline:
        """Keep these fields alone."""
        return self._then({"type": "select", "labels": _labels(fields)})

    def parse_json(self, fields: Groups) -> Pipeline:
        """Read fields as JSON."""
        return self._then({"type": "parse", "parser": "json", "labels": _labels(fields)})

    def parse_logfmt(self, fields: Groups) -> Pipeline:
        """Read fields as logfmt."""
        return self._then({"type": "parse", "parser": "logfmt", "labels": _labels(fields)})

    def parse_regexp(self, pattern: str, fields: Groups) -> Pipeline:
        """Read fields by a pattern with named groups, `(?P<name>...)`."""
        if "(?P<" not in pattern:
            raise ValueError(f"the pattern names no group: {pattern!r}")
        stage = {"type": "parse", "parser": "regexp", "pattern": pattern}
        return self._then({**stage, "labels": _labels(fields)})

    def transform(self, *transforms: tuple[Function, str | Sequence[str]]) -> Pipeline:
        """Add fields, each a function and its name (a list of names for `split_into`)."""
        made = []
        for function, names in transforms:
            if function.is_aggregate:
                raise TypeError(f"{function.name} is an aggregate and no transform")
            named: str | list[str] = (
                checked_alias(names)
                if isinstance(names, str)
                else [checked_alias(name) for name in names]
            )
            made.append({"function": function.document(), "as": named})
        return self._then({"type": "transform", "transforms": made})

    def aggregate(
        self, aggregates: Sequence[tuple[Function, str]], groups: Groups = ()
    ) -> Pipeline:
        """Reduce spans to one row per group. Never ask for one over several windows and add up."""
        _check_names([name for _, name in aggregates], groups)
        made = [
            {"function": _aggregate(function), "as": checked_alias(name)}
            for function, name in aggregates
        ]
        return self._then({"type": "aggregate", "aggregates": made, **_group_by(groups)})

    def window_aggregate(
        self, function: Function, name: str, window: tuple[int, Unit], groups: Groups = ()
    ) -> Pipeline:
        """Reduce spans to one row per group and stretch of time; one function only."""
        _check_names([name], groups)
        size, unit = window
        if size < 1:
            raise ValueError(f"a window is at least 1 long: {size}")
        return self._then(
            {
                "type": "window_aggregate",
                "function": _aggregate(function),
                "as": checked_alias(name),
                "window": [str(size), Unit(unit).value],
                **_group_by(groups),
            }
        )

    def _then(self, stage: Stage) -> Pipeline:
        return Pipeline((*self.stages, stage))


def where(condition: Condition, *, word: Literal["filter", "where"] = "filter") -> Pipeline:
    """Begin a pipeline with the spans that meet a condition; both words mean the same to Last9."""
    return Pipeline((_filter(word, condition),))


def everything() -> Pipeline:
    """Begin with every span, in the match-all form that Last9's own client recommends."""
    return where(exists(TRACE_ID))


def _filter(word: str, condition: Condition) -> Stage:
    """Wrap a bare condition on top: the API rejected it (CHANGELOG 0.10.0)."""
    top = condition if condition.is_logical else all_of(condition)
    return {"type": word, "query": top.document()}


def _labels(fields: Groups) -> dict[str, str]:
    if not fields:
        raise ValueError("a stage without fields would keep nothing")
    _check_names([], fields)
    return {field.text: checked_alias(name) for field, name in fields}


def _group_by(groups: Groups) -> Stage:
    return {"groupby": _labels(groups)} if groups else {}


def _aggregate(function: Function) -> dict[str, list[object]]:
    if not function.is_aggregate:
        raise TypeError(f"{function.name} is a transform and no aggregate")
    return function.document()


def _check_names(names: Sequence[str], fields: Groups) -> None:
    every = [*names, *(name for _, name in fields)]
    if len(set(every)) < len(every):
        raise ValueError(f"two results would share a name: {', '.join(every)}")
    texts = [field.text for field, _ in fields]
    if len(set(texts)) < len(texts):
        raise ValueError(f"a field is named twice: {', '.join(texts)}")

"""Aggregate functions of the query language -> SQL expressions.

`$quantile` interpolates and `$quantile_exact` returns a value that occurred; the unit of `$rate` is
per second and the threshold of `$apdex_score` is in seconds for `Duration`. The last two and the
interpolation are not documented anywhere: they are this stand-in's reading.
"""

from __future__ import annotations

from collections.abc import Callable

from tfy_last9.standins.last9.fields import BadPipeline, Resolve
from tfy_last9.standins.last9.sql import Sql, fill

COUNT = Sql("count(*)")
ONE_FIELD = {
    "$sum": "coalesce(sum(CAST({} AS DOUBLE)), 0)",
    "$avg": "avg({})",
    "$min": "min({})",
    "$max": "max({})",
    "$median": "quantile_cont({}, 0.5)",
    "$stddev": "stddev_samp({})",
    "$stddev_pop": "stddev_pop({})",
    "$variance": "var_samp({})",
    "$variance_pop": "var_pop({})",
}
QUANTILES = {"$quantile": "quantile_cont", "$quantile_exact": "quantile_disc"}
NS_PER_S = 1_000_000_000

Arguments = list[object]


def aggregate(function: object, resolve: Resolve, span_s: int) -> Sql:
    """Compile `{"$name": [arguments]}`; `span_s` is the length that `$rate` divides by."""
    if not isinstance(function, dict) or len(function) != 1:
        raise BadPipeline('function is an object with one entry, such as {"$count": []}')
    ((name, arguments),) = function.items()
    if not isinstance(arguments, list):
        raise BadPipeline(f"{name} takes a list of arguments")
    if name == "$count":
        return COUNT
    if name == "$rate":
        return Sql(f"count(*) / {max(1, span_s)}::DOUBLE")
    if name in ONE_FIELD:
        return fill(ONE_FIELD[name], resolve(_field(name, arguments, at=0)).number)
    special = PARAMETRIC.get(name)
    if special is None:
        raise BadPipeline(f"unknown aggregate function {name}")
    return special(name, arguments, resolve)


def _field(name: str, arguments: Arguments, at: int) -> str:
    if len(arguments) != at + 1 or not isinstance(arguments[at], str):
        raise BadPipeline(f"{name} takes {'[parameter, field]' if at else '[field]'}")
    return str(arguments[at])


def _parameter(name: str, arguments: Arguments) -> float:
    value = arguments[0]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadPipeline(f"{name} takes a JSON number first, saw {value!r}")
    return float(value)


def _quantile(name: str, arguments: Arguments, resolve: Resolve) -> Sql:
    field = _field(name, arguments, at=1)
    level = _parameter(name, arguments)
    if not 0 <= level <= 1:
        raise BadPipeline(f"{name} takes a level from 0 to 1, saw {level:g}")
    return fill(f"{QUANTILES[name]}({{}}, {level!r})", resolve(field).number)


def _apdex(name: str, arguments: Arguments, resolve: Resolve) -> Sql:
    field = _field(name, arguments, at=1)
    scale = NS_PER_S if field == "Duration" else 1
    threshold = _parameter(name, arguments) * scale
    number = resolve(field).number
    satisfied = fill("count(*) FILTER ({} <= {})", number, Sql("?", (threshold,)))
    tolerated = fill("count(*) FILTER ({} <= {})", number, Sql("?", (4 * threshold,)))
    return fill("({} + {}) / (2.0 * count({}))", satisfied, tolerated, number)


PARAMETRIC: dict[str, Callable[[str, Arguments, Resolve], Sql]] = {
    "$quantile": _quantile,
    "$quantile_exact": _quantile,
    "$apdex_score": _apdex,
}

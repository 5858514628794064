"""Numbers and objectives in words: units, counts and shares that a tired reader gets right."""

from __future__ import annotations

from tfy_last9.model.fields import VALUE_FIELDS
from tfy_last9.model.objective import (
    Book,
    Completeness,
    Condition,
    Objective,
    Operator,
    Population,
    Threshold,
)
from tfy_last9.model.trace import Role
from tfy_last9.model.verdict import Quantile

SIGNS = {Operator.LTE: "<=", Operator.LT: "<", Operator.GTE: ">=", Operator.GT: ">"}
_MAX_DIGITS = 12
_MS_PER_S = 1000.0


def percent(share: float) -> str:
    """Return a share as percent with three digits, more where rounding would claim 0 or 100."""
    for digits in range(3, _MAX_DIGITS):
        text = f"{100.0 * share:.{digits}g}"
        if text != "100" or share == 1.0:
            break
    return f"{float(text):.{_MAX_DIGITS}g} %"


def quantity(value: float, unit: str) -> str:
    """Return a measured value with its unit; milliseconds become seconds from one second on."""
    if unit == "ms" and abs(value) >= _MS_PER_S:
        return f"{significant(value / _MS_PER_S)} s"
    return f"{significant(value)} {unit}"


def significant(value: float) -> str:
    """Return a number with three significant digits and no exponent."""
    if value != 0 and abs(value) < 1e-4:  # noqa: PLR2004 - below this only an exponent stays short
        return f"{value:.3g}"
    whole = abs(value) >= 100  # noqa: PLR2004 - three digits before the point
    return f"{value:,.0f}" if whole else f"{float(f'{value:.3g}'):g}"


def limit(objective: Objective) -> str:
    """Return what is allowed, as short as a table cell: `<= 1500 ms` or `<= 1 %`."""
    if isinstance(objective.indicator, Threshold):
        return f"{SIGNS[objective.indicator.op]} {_limit_value(objective.indicator)}"
    return f"<= {percent(budget(objective))}"


def budget(objective: Objective) -> float:
    """Return the share that may be bad, without the rounding noise of `1 - target`."""
    return round(objective.budget, 12)


def claim(objective: Objective) -> str:
    """Return the promise in words."""
    indicator = objective.indicator
    if isinstance(indicator, Completeness):
        roles = " and ".join(indicator.require)
        return f"{percent(objective.target)} of expected traces show a {roles} span"
    share = percent(budget(objective))
    what = noun(objective)
    if not isinstance(indicator, Threshold):
        return f"at most {share} of {what} {bad_words(objective)}"
    title = VALUE_FIELDS[indicator.population.book, indicator.field].title
    bound = limit(objective)
    if indicator.op in (Operator.LTE, Operator.LT) and objective.target > 0:
        return f"{_percentile(objective.target)} {title} {bound}"
    return f"{title} {bound} for {percent(objective.target)} of {what}"


def noun(objective: Objective) -> str:
    """Return what is counted, in the plural."""
    indicator = objective.indicator
    if isinstance(indicator, Completeness):
        return "expected traces"
    return _population_noun(indicator.population)


def bad_words(objective: Objective) -> str:
    """Return what makes an event bad, to follow the noun: `slower than 1500 ms`."""
    indicator = objective.indicator
    if isinstance(indicator, Completeness):
        return "incomplete or missing"
    if isinstance(indicator, Threshold):
        return f"{_beyond(indicator)} {_limit_value(indicator)}"
    return _conditions(indicator.bad)


def quantile(found: Quantile) -> str:
    """Return a percentile with its interval: `p95 2.84 s [2.71, 3.02]`."""
    text = f"{_percentile(found.p)} {quantity(found.value, found.unit)}"
    seconds = found.unit == "ms" and abs(found.value) >= _MS_PER_S
    bounds = [
        "?" if bound is None else significant(bound / _MS_PER_S if seconds else bound)
        for bound in (found.low, found.high)
    ]
    return text if bounds == ["?", "?"] else f"{text} [{bounds[0]}, {bounds[1]}]"


def book(objective: Objective) -> str:
    """Return which book a finding comes from; completeness is the difference between the two."""
    if isinstance(objective.indicator, Completeness):
        return "both"
    return objective.indicator.population.book.value


def _percentile(share: float) -> str:
    """Return p95, p99.9 or p99.95: never rounded up to p100."""
    return f"p{100.0 * share:.6g}"


def _limit_value(indicator: Threshold) -> str:
    field = VALUE_FIELDS[indicator.population.book, indicator.field]
    return f"{indicator.limit:.15g} {field.unit}"


def _beyond(indicator: Threshold) -> str:
    """Return the comparison that a bad value meets."""
    late = VALUE_FIELDS[indicator.population.book, indicator.field].unit == "ms"
    words = {
        Operator.LTE: "slower than" if late else "above",
        Operator.LT: "at or above",
        Operator.GTE: "below",
        Operator.GT: "at or below",
    }
    return words[indicator.op]


def _population_noun(population: Population) -> str:
    if population.book is Book.LEDGER:
        return "requests"
    if population.span is Role.MODEL:
        return "provider calls"
    return f"{population.span} spans"


def _conditions(conditions: tuple[Condition, ...]) -> str:
    if any(condition.field in ("outcome", "status") for condition in conditions):
        return "in error"
    return "with " + " and ".join(
        f"{condition.field} {' or '.join(condition.values)}" for condition in conditions
    )

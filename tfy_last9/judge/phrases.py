"""Numbers and objectives in words: units, counts and shares that a tired reader gets right."""

from __future__ import annotations

from dataclasses import replace

from tfy_last9.model.fields import RUN_FIELDS, VALUE_FIELDS, ValueField
from tfy_last9.model.objective import (
    Book,
    Completeness,
    Composite,
    Condition,
    Indicator,
    Objective,
    Operator,
    Population,
    Quality,
    Ratio,
    Scalar,
    Slicing,
    Threshold,
    parts,
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
    indicator = objective.indicator
    if isinstance(indicator, Threshold | Scalar):
        return f"{SIGNS[indicator.op]} {_limit_value(indicator)}"
    return f"<= {percent(budget(objective))}"


def budget(objective: Objective) -> float:
    """Return the share that may be bad, without the rounding noise of `1 - target`."""
    return round(objective.budget, 12)


def claim(objective: Objective) -> str:
    """Return the promise in words."""
    if objective.slicing is not None:
        return _sliced_claim(objective, objective.slicing)
    indicator = objective.indicator
    if isinstance(indicator, Composite):
        names = " and ".join(member.name for member in indicator.members)
        return f"{names} together burn at most their shared budget"
    if isinstance(indicator, Scalar):
        return f"{_field(indicator).title} {limit(objective)}"
    if isinstance(indicator, Completeness):
        roles = " and ".join(indicator.require)
        return f"{percent(objective.target)} of expected traces show a {roles} span"
    return _event_claim(objective, indicator)


def _event_claim(objective: Objective, indicator: Threshold | Ratio) -> str:
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
    if objective.slicing is not None:
        return f"slices of {_duration(objective.slicing.window_s)}"
    return _event_noun(objective.indicator)


def bad_words(objective: Objective) -> str:
    """Return what makes an event bad, to follow the noun: `slower than 1500 ms`."""
    if objective.slicing is not None:
        return "below their target"
    indicator = objective.indicator
    if isinstance(indicator, Completeness):
        return "incomplete or missing"
    if isinstance(indicator, Composite):
        return "bad"
    if isinstance(indicator, Threshold | Scalar):
        return f"{_beyond(indicator)} {_limit_value(indicator)}"
    if indicator.good is not None:
        return _shortcoming(indicator.good)
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
    books = {
        "both"
        if isinstance(part, Completeness)
        else (part.book if isinstance(part, Scalar) else part.population.book).value
        for part in parts(objective.indicator)
    }
    return books.pop() if len(books) == 1 else "both"


def _percentile(share: float) -> str:
    """Return p95, p99.9 or p99.95: never rounded up to p100."""
    return f"p{100.0 * share:.6g}"


def _field(indicator: Threshold | Scalar) -> ValueField:
    if isinstance(indicator, Scalar):
        return RUN_FIELDS[indicator.book, indicator.name]
    return VALUE_FIELDS[indicator.population.book, indicator.field]


def unit(indicator: Threshold | Scalar) -> str:
    """Return the unit of what is limited."""
    return _field(indicator).unit


def _limit_value(indicator: Threshold | Scalar) -> str:
    return f"{indicator.limit:.15g} {unit(indicator)}"


def _beyond(indicator: Threshold | Scalar) -> str:
    """Return the comparison that a bad value meets."""
    words = {
        Operator.LTE: "slower than" if unit(indicator) == "ms" else "above",
        Operator.LT: "at or above",
        Operator.GTE: "below",
        Operator.GT: "at or below",
    }
    return words[indicator.op]


def _sliced_claim(objective: Objective, slicing: Slicing) -> str:
    what, share = noun(objective), percent(objective.target)
    if isinstance(objective.indicator, Composite):
        events = " and ".join(member.name for member in objective.indicator.members)
    else:
        alone = replace(objective, slicing=None)
        events = f"{noun(alone)} {bad_words(alone)}"
    if slicing.target is None:
        return f"mean over {what}: at most {percent(budget(objective))} of {events}"
    inner = percent(round(1.0 - slicing.target, 12))
    return f"{share} of {what} with at most {inner} of {events}"


def _duration(seconds: int) -> str:
    for size, word in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds % size == 0:
            return f"{seconds // size} {word}"
    return f"{seconds} s"


def _shortcoming(quality: Quality) -> str:
    if quality.has and not quality.where and not quality.limits:
        return f"without {' or '.join(quality.has)}"
    if not quality.has and not quality.limits:
        return "other than " + _conditions_named(quality.where)
    return "not good in every respect"


def _event_noun(indicator: Indicator) -> str:
    if isinstance(indicator, Completeness):
        return "expected traces"
    if isinstance(indicator, Composite):
        return "events"
    if isinstance(indicator, Scalar):
        if indicator.book is Book.LEDGER:
            return "requests"
        return (
            "provider calls"
            if (indicator.book, indicator.name) in VALUE_FIELDS
            else "expected traces"
        )
    return _population_noun(indicator.population)


def _population_noun(population: Population) -> str:
    if population.book is Book.LEDGER:
        return "requests"
    if population.span is Role.MODEL:
        return "provider calls"
    return f"{population.span} spans"


def _conditions(conditions: tuple[Condition, ...]) -> str:
    if any(condition.field in ("outcome", "status") for condition in conditions):
        return "in error"
    return f"with {_conditions_named(conditions)}"


def _conditions_named(conditions: tuple[Condition, ...]) -> str:
    return " and ".join(
        f"{condition.field} {' or '.join(condition.values)}" for condition in conditions
    )

"""Conditions of Last9's trace pipelines: every operator that exists, as a function.

An operator Last9 does not know matches every span instead of failing (`$exists` did; last9-mcp-server,
query_sanitize.go), so an operator is never a text here. Existence is `differs(field, "")`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from tfy_last9.wire.last9_fields import AnyField, Field, ValueT, number

Json = dict[str, list[object]]


@dataclass(frozen=True, slots=True)
class Condition:
    """A test on a span. Made by the functions below only; `is_logical` for `$and`, `$or`, `$not`."""

    operator: str
    operands: tuple[object, ...]
    is_logical: bool = False

    def document(self) -> Json:
        """Return the JSON data."""
        operands = [
            operand.document() if isinstance(operand, Condition) else operand
            for operand in self.operands
        ]
        return {self.operator: operands}


def equals(field: Field[ValueT], value: ValueT) -> Condition:
    """Match spans whose field is exactly `value`; an absent attribute reads as ""."""
    return Condition("$eq", (field.text, field.literal(value)))


def differs(field: Field[ValueT], value: ValueT) -> Condition:
    """Match spans whose field is anything but `value`."""
    return Condition("$neq", (field.text, field.literal(value)))


def exists(field: Field[str]) -> Condition:
    """Match spans that carry the field."""
    return differs(field, "")


def is_absent(field: Field[str]) -> Condition:
    """Match spans that do not carry the field."""
    return equals(field, "")


def one_of(field: Field[ValueT], values: Iterable[ValueT]) -> Condition:
    """Match spans whose field is one of `values`: Last9 has no `$in`."""
    return any_of(*(equals(field, value) for value in values))


def _numeric(operator: str) -> Callable[[AnyField, float], Condition]:
    def compare(field: AnyField, value: float) -> Condition:
        """Compare as numbers; attributes are texts there and are read as numbers by Last9."""
        return Condition(operator, (field.text, number(value)))

    return compare


def _textual(operator: str) -> Callable[[Field[str], str], Condition]:
    def compare(field: Field[str], value: str) -> Condition:
        """Compare as texts."""
        if field.holds is not str:
            raise TypeError(f"{field.text} is no text, so {operator} cannot be asked of it")
        return Condition(operator, (field.text, field.literal(value)))

    return compare


above = _numeric("$gt")
at_least = _numeric("$gte")
below = _numeric("$lt")
at_most = _numeric("$lte")

equals_ignoring_case = _textual("$ieq")
differs_ignoring_case = _textual("$ineq")
contains = _textual("$contains")
lacks = _textual("$notcontains")
contains_ignoring_case = _textual("$icontains")
lacks_ignoring_case = _textual("$inotcontains")
contains_words = _textual("$containsWords")
lacks_words = _textual("$notcontainsWords")
contains_words_ignoring_case = _textual("$icontainsWords")
lacks_words_ignoring_case = _textual("$inotcontainsWords")
matches = _textual("$regex")
mismatches = _textual("$notregex")
matches_ignoring_case = _textual("$iregex")
mismatches_ignoring_case = _textual("$inotregex")


def all_of(*conditions: Condition) -> Condition:
    """Match spans that meet every condition."""
    return _logical("$and", conditions)


def any_of(*conditions: Condition) -> Condition:
    """Match spans that meet at least one condition."""
    return _logical("$or", conditions)


def none_of(*conditions: Condition) -> Condition:
    """Match spans that meet no condition; with several, none of them."""
    met = conditions[0] if len(conditions) == 1 else any_of(*conditions)
    return _logical("$not", (met,))


def _logical(operator: str, conditions: tuple[Condition, ...]) -> Condition:
    if not conditions:
        raise ValueError(f"{operator} of nothing would match every span or none")
    return Condition(operator, conditions, is_logical=True)

"""The condition tree of a filter stage -> SQL, with the quirks of the real query language.

An operator that does not exist is not refused: it is true for every span (`$notnull` for none), as
Last9's own client found out the hard way (last9-mcp-server, commit 266e0ce).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from tfy_last9.standins.last9.fields import BadPipeline, Field, Resolve
from tfy_last9.standins.last9.sql import FALSE, TRUE, Sql, fill, join

LOGICAL = ("$and", "$or", "$not")
DEEPEST = 50
"""Levels of nesting; far beyond any real query, far below the recursion limit."""
PAIR = 2
WHOLE = re.compile("-?[0-9]{1,37}")
"""Whole numbers that DuckDB holds exactly (128 bits); instants in nanoseconds have 19 digits."""

Test = Callable[[Field, object], Sql]


def filter_condition(query: object, resolve: Resolve) -> Sql:
    """Compile the `query` of a filter stage; its top level must be logical, `{}` passes everything."""
    if not isinstance(query, dict):
        raise BadPipeline(f"filter needs an object under query, saw {type(query).__name__}")
    for operator in query:
        if operator not in LOGICAL:
            raise BadPipeline(f"the top level of query must be $and, $or or $not, saw {operator}")
    return _condition(query, resolve, DEEPEST)


def _condition(node: object, resolve: Resolve, levels: int) -> Sql:
    if not isinstance(node, dict):
        raise BadPipeline(f"a condition is an object such as {{$eq: [field, value]}}, saw {node!r}")
    if levels == 0:
        raise BadPipeline(f"conditions are nested deeper than {DEEPEST} levels")
    return _all([_operator(name, node[name], resolve, levels - 1) for name in node])


def _operator(name: str, operand: object, resolve: Resolve, levels: int) -> Sql:
    if name in LOGICAL:
        if not isinstance(operand, list):
            raise BadPipeline(f"{name} takes a list of conditions")
        return _logical(name, operand, resolve, levels)
    if name == "$notnull":
        return FALSE
    test = TESTS.get(name)
    if test is None:
        return TRUE
    field, value = _pair(name, operand)
    return test(resolve(field), value)


def _logical(name: str, operand: list[Any], resolve: Resolve, levels: int) -> Sql:
    if name == "$or":
        return _any(operand, resolve, levels)
    parts = _all([_condition(node, resolve, levels) for node in operand])
    return parts if name == "$and" else fill("NOT {}", parts)


def _all(parts: list[Sql]) -> Sql:
    return _parenthesised(" AND ", parts)


def _parenthesised(separator: str, parts: list[Sql]) -> Sql:
    """Join conditions; a single one binds tighter than NOT, AND and OR already."""
    if len(parts) == 1:
        return parts[0]
    return fill("({})", join(separator, parts)) if parts else TRUE


def _any(operand: list[Any], resolve: Resolve, levels: int) -> Sql:
    """Join alternatives; equalities on one field become one IN, as there may be thousands of ids."""
    equals: dict[str, list[str]] = {}
    parts = []
    for node in operand:
        pair = node.get("$eq") if isinstance(node, dict) and len(node) == 1 else None
        if pair is None:
            parts.append(_condition(node, resolve, levels))
        else:
            field, value = _pair("$eq", pair)
            equals.setdefault(field, []).append(_word(value))
    parts += [_one_of(resolve(field), values) for field, values in equals.items()]
    return _parenthesised(" OR ", parts)


def _one_of(field: Field, values: list[str]) -> Sql:
    if len(values) == 1:
        return _equal(field, values[0])
    return fill("{} IN (SELECT unnest(CAST({} AS VARCHAR[])))", field.text, Sql("?", (values,)))


def _pair(name: str, operand: object) -> tuple[str, object]:
    if not isinstance(operand, list) or len(operand) != PAIR or not isinstance(operand[0], str):
        raise BadPipeline(f"{name} takes [field, value]")
    return operand[0], operand[1]


def _word(value: object) -> str:
    """Write a value as the text that it is compared as."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, int | float):
        return str(value)
    raise BadPipeline(f"a value is a string or a number, saw {type(value).__name__}")


def _number(value: object) -> int | float:
    """Read a number or a numeric string; integers up to 128 bits stay exact."""
    text = _word(value)
    try:
        number = float(text)
    except ValueError:
        raise BadPipeline(f"expected a number to compare with, saw {text!r}") from None
    return int(text) if WHOLE.fullmatch(text) else number


def _equal(field: Field, value: object) -> Sql:
    return fill("{} = {}", field.text, Sql("?", (_word(value),)))


def _text_test(template: str) -> Test:
    return lambda field, value: fill(template, field.text, Sql("?", (_word(value),)))


def _number_test(symbol: str) -> Test:
    # NULL (not a number) compares as false, also under $not: the row has no such number.
    template = f"coalesce({{}} {symbol} {{}}, FALSE)"
    return lambda field, value: fill(template, field.number, Sql("?", (_number(value),)))


def _words_test(flags: str, *, negated: bool) -> Test:
    def test(field: Field, value: object) -> Sql:
        found = _all([_has_word(field, word, flags) for word in re.findall(r"\w+", _word(value))])
        return fill("NOT {}", found) if negated else found

    return test


def _has_word(field: Field, word: str, flags: str) -> Sql:
    # Not \b: in RE2 it knows ASCII letters only.
    pattern = rf"(^|[^\p{{L}}\p{{N}}_]){word}($|[^\p{{L}}\p{{N}}_])"
    return fill("regexp_matches({}, {}, {})", field.text, Sql("?", (pattern,)), Sql(f"'{flags}'"))


TESTS: dict[str, Test] = {
    "$eq": _equal,
    "$neq": _text_test("{} <> {}"),
    "$ieq": _text_test("lower({}) = lower({})"),
    "$ineq": _text_test("lower({}) <> lower({})"),
    "$gt": _number_test(">"),
    "$gte": _number_test(">="),
    "$lt": _number_test("<"),
    "$lte": _number_test("<="),
    "$contains": _text_test("contains({}, {})"),
    "$notcontains": _text_test("NOT contains({}, {})"),
    "$icontains": _text_test("contains(lower({}), lower({}))"),
    "$inotcontains": _text_test("NOT contains(lower({}), lower({}))"),
    "$containsWords": _words_test("s", negated=False),
    "$notcontainsWords": _words_test("s", negated=True),
    "$icontainsWords": _words_test("is", negated=False),
    "$inotcontainsWords": _words_test("is", negated=True),
    # RE2, unanchored, as in ClickHouse's match().
    "$regex": _text_test("regexp_matches({}, {})"),
    "$notregex": _text_test("NOT regexp_matches({}, {})"),
    "$iregex": _text_test("regexp_matches({}, {}, 'i')"),
    "$inotregex": _text_test("NOT regexp_matches({}, {}, 'i')"),
}

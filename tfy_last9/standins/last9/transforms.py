r"""The transform stage -> SQL: new fields computed from others.

Function names and the order of their arguments are public (last9/last9-mcp-server, `input_schema.go`); what
they do is inferred from ClickHouse, which Last9 stores traces in: indices begin at 1 and count from the end
when negative, `$length` counts bytes, `$replace_regex` replaces every match and knows `\1`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tfy_last9.standins.last9.derived import Derivation, Made, checked_name
from tfy_last9.standins.last9.fields import BadPipeline, Resolve
from tfy_last9.standins.last9.sql import Sql, fill, join

MOST = 64
"""Transforms of one stage and names of one split, far beyond any real query."""
Arguments = list[Any]


def transformed(stage: Mapping[str, Any], resolve: Resolve) -> list[Derivation]:
    """Return the fields that a transform stage makes; raises BadPipeline.

    The entries of one stage do not see each other's fields: later stages do.
    """
    entries = stage["transforms"]
    if not isinstance(entries, list) or not 0 < len(entries) <= MOST:
        raise BadPipeline(f"transforms is a list of 1 to {MOST} objects with function and as")
    return [made for entry in entries for made in _entry(entry, resolve)]


def _entry(entry: object, resolve: Resolve) -> list[Derivation]:
    if not isinstance(entry, dict) or entry.keys() != {"function", "as"}:
        raise BadPipeline("a transform is an object with function and as")
    function, names = entry["function"], entry["as"]
    if not isinstance(function, dict) or len(function) != 1:
        raise BadPipeline('function is an object with one entry, such as {"$length": ["SpanName"]}')
    ((name, arguments),) = function.items()
    if not isinstance(arguments, list):
        raise BadPipeline(f"{name} takes a list of arguments")
    if name == "$split_into":
        return _split_into(arguments, names, resolve)
    compile_one = FUNCTIONS.get(name)
    if compile_one is None:
        raise BadPipeline(f"unknown transform function {name}")
    return [Made(checked_name(names), compile_one(name, arguments, resolve))]


def _split_into(arguments: Arguments, names: object, resolve: Resolve) -> list[Derivation]:
    """Give each part a name, or all parts one, under which they are an array in JSON."""
    field, delimiter = _checked("$split_into", arguments, str, str)
    parts = _parts(resolve(field).text, delimiter)
    if isinstance(names, str):
        return [Made(checked_name(names), fill("CAST(to_json({}) AS VARCHAR)", parts))]
    if not isinstance(names, list) or not 0 < len(names) <= MOST:
        raise BadPipeline(f"as of $split_into is a name or a list of 1 to {MOST} names")
    return [
        Made(checked_name(name), _at(parts, position)) for position, name in enumerate(names, 1)
    ]


def _parts(text: Sql, delimiter: str) -> Sql:
    if not delimiter:
        raise BadPipeline("a delimiter is at least one character long")
    return fill("string_split({}, {})", text, Sql("?", (delimiter,)))


def _at(parts: Sql, position: int) -> Sql:
    return fill("list_extract({}, {})", parts, Sql("?", (position,)))


def _split(name: str, arguments: Arguments, resolve: Resolve) -> Sql:
    field, delimiter, position = _checked(name, arguments, str, str, int)
    return _at(_parts(resolve(field).text, delimiter), _position(position))


def _concat(name: str, arguments: Arguments, resolve: Resolve) -> Sql:
    fields = _fields(name, arguments, resolve)
    return fill("concat({})", join(", ", fields))


def _join(name: str, arguments: Arguments, resolve: Resolve) -> Sql:
    separator, *rest = arguments or [None]
    if not isinstance(separator, str):
        raise BadPipeline(f"{name} takes a separator and fields")
    fields = join(", ", _fields(name, rest, resolve))
    return fill("concat_ws({}, {})", Sql("?", (separator,)), fields)


def _replace_regex(name: str, arguments: Arguments, resolve: Resolve) -> Sql:
    field, pattern, replacement = _checked(name, arguments, str, str, str)
    values = Sql("?, ?", (pattern, replacement))
    return fill("regexp_replace({}, {}, 'g')", resolve(field).text, values)


def _length(name: str, arguments: Arguments, resolve: Resolve) -> Sql:
    (field,) = _checked(name, arguments, str)
    return fill("strlen({})", resolve(field).text)


def _array_element(name: str, arguments: Arguments, resolve: Resolve) -> Sql:
    field, position = _checked(name, arguments, str, int)
    text = resolve(field).text
    at = _position(position)
    path = f"$[{at - 1}]" if at > 0 else f"$[#{at}]"
    array = fill("CASE WHEN json_valid({}) THEN {} END", text, text)
    return fill("json_extract_string({}, {})", array, Sql("?", (path,)))


FUNCTIONS: dict[str, Callable[[str, Arguments, Resolve], Sql]] = {
    "$split": _split,
    "$concat": _concat,
    "$join": _join,
    "$replace_regex": _replace_regex,
    "$length": _length,
    "$arrayElement": _array_element,
}


def _fields(name: str, arguments: Arguments, resolve: Resolve) -> list[Sql]:
    if not 0 < len(arguments) <= MOST:
        raise BadPipeline(f"{name} takes 1 to {MOST} fields")
    _checked(name, arguments, *[str] * len(arguments))
    return [resolve(field).text for field in arguments]


def _checked(name: str, arguments: Arguments, *kinds: type) -> Arguments:
    if len(arguments) == len(kinds) and all(
        type(value) is kind for value, kind in zip(arguments, kinds, strict=True)
    ):
        return arguments
    wanted = ", ".join("a number" if kind is int else "a text" for kind in kinds)
    raise BadPipeline(f"{name} takes [{wanted}], saw {arguments!r}")


def _position(value: int) -> int:
    if not 0 < abs(value) <= 10**6:
        raise BadPipeline(f"positions begin at 1, or at -1 from the end; saw {value}")
    return value

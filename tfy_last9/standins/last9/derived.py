"""Fields that a pipeline makes: what parse and transform stages find, and how later stages read it.

A made field is read by its bare name or as `attributes['name']`, where it hides an attribute of that name;
among the rows of an answer it is one more span attribute (what a parse does to `attributes['k']` is seen in
the tests of last9/last9-mcp-server). That a field without a value reads as the empty string is inferred
from how unknown attributes behave.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import orjson

from tfy_last9.standins.last9.document import bracketed
from tfy_last9.standins.last9.fields import BadPipeline, Field, Resolve
from tfy_last9.standins.last9.sql import Sql, fill

LONGEST = 100_000
"""Characters of SQL: fields made of fields double with every stage."""
Members = Callable[[str], Mapping[str, str]]
"""Text to everything that is in it."""


@dataclass(frozen=True, slots=True)
class Made:
    """One made field; the SQL is NULL where a span has no such value."""

    name: str
    value: Sql


@dataclass(frozen=True, slots=True)
class Whole:
    """A text taken apart entirely: which names it holds differs from span to span."""

    source: Sql
    member: Callable[[str], Sql]
    """Name to SQL of its value."""
    members: Members


Derivation = Made | Whole


def checked(derivations: Iterable[Derivation]) -> tuple[Derivation, ...]:
    """Return them, unless they have grown beyond all measure."""
    listed = tuple(derivations)
    for one in listed:
        if len((one.value if isinstance(one, Made) else one.source).text) > LONGEST:
            raise BadPipeline("the fields of this pipeline are made of too many others")
    return listed


def resolver(resolve: Resolve, derivations: Iterable[Derivation]) -> Resolve:
    """Return what knows the made fields besides the others; the latest of a name counts."""
    made: dict[str, Sql] = {}
    wholes: list[Whole] = []
    for one in derivations:
        if isinstance(one, Made):
            made[one.name] = one.value
        else:
            wholes.append(one)

    def found(name: str) -> Field:
        scope = bracketed(name)
        key = scope[1] if scope and scope[0] == "SpanAttributes" else name
        if key in made:
            return field(made[key])
        if not wholes or (scope and scope[0] != "SpanAttributes"):
            return resolve(name)
        return _with_members(wholes, key, resolve(name))

    return found


def field(value: Sql) -> Field:
    """Read a made value as text and as a number."""
    text = fill("coalesce(CAST({} AS VARCHAR), '')", value)
    return Field(text, fill("try_cast({} AS DOUBLE)", value))


def _with_members(wholes: list[Whole], key: str, original: Field) -> Field:
    """Read what was found under a name, else what was there before."""
    text, number = original.text, original.number
    for whole in wholes:
        value = whole.member(key)
        text = fill("coalesce({}, {})", value, text)
        number = fill("coalesce(try_cast({} AS DOUBLE), {})", value, number)
    return Field(text, number)


def selected(derivations: tuple[Derivation, ...]) -> list[Sql]:
    """Return the SQL columns that `documents` needs besides the span object."""
    return [one.value if isinstance(one, Made) else one.source for one in derivations]


def documents(derivations: tuple[Derivation, ...], rows: Iterable[tuple[object, ...]]) -> list[str]:
    """Return the span objects of an answer, made fields among their attributes."""
    if not derivations:
        return [str(row[0]) for row in rows]
    return [_document(derivations, row) for row in rows]


def _document(derivations: tuple[Derivation, ...], row: tuple[object, ...]) -> str:
    span = orjson.loads(str(row[0]))
    for one, value in zip(derivations, row[1:], strict=True):
        if value is not None and isinstance(one, Made):
            span["SpanAttributes"][one.name] = str(value)
        elif value is not None and isinstance(one, Whole):
            span["SpanAttributes"].update(one.members(str(value)))
    return orjson.dumps(span).decode()


NAME = re.compile(r"[^\s'\"\\\[\]]{1,200}")


def checked_name(value: object) -> str:
    """Return the name of a made field; raises BadPipeline."""
    if not isinstance(value, str) or not NAME.fullmatch(value):
        raise BadPipeline(f"a new field needs a name without quotes and spaces, saw {value!r}")
    return value

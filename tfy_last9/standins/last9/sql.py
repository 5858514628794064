"""Pieces of SQL that carry their own bound values, so that no text of a query becomes SQL."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sql:
    """SQL with one `?` per value, in the order of `values`."""

    text: str
    values: tuple[object, ...] = ()


TRUE = Sql("TRUE")
FALSE = Sql("FALSE")


def fill(template: str, *parts: Sql) -> Sql:
    """Put the parts into the `{}` of a template, in order, keeping their values in order."""
    text = template.format(*(part.text for part in parts))
    return Sql(text, tuple(value for part in parts for value in part.values))


def join(separator: str, parts: Iterable[Sql]) -> Sql:
    """Join the parts with a separator such as `' AND '`."""
    listed = tuple(parts)
    return Sql(
        separator.join(part.text for part in listed),
        tuple(value for part in listed for value in part.values),
    )

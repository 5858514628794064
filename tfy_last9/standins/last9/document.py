"""Reading one field out of a span object, by the names that the query language uses."""

from __future__ import annotations

from typing import Any

MAPS = {"attributes": "SpanAttributes", "resources": "ResourceAttributes"}

Document = dict[str, Any]


def bracketed(field: str) -> tuple[str, str] | None:
    """Split `attributes['k']` into the member of the span object and the key."""
    for prefix, member in MAPS.items():
        if field.startswith(f"{prefix}['") and field.endswith("']"):
            return member, field[len(prefix) + 2 : -2]
    return None


def read_field(span: Document, field: str) -> object:
    """Return the value of a field, the empty string where the span has none."""
    found = bracketed(field)
    if found is not None:
        return span[found[0]].get(found[1], "")
    if field in span:
        return span[field]
    return span["SpanAttributes"].get(field, span["ResourceAttributes"].get(field, ""))

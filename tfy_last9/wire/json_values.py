"""Values in JSON that somebody else wrote: what has the wrong type counts as absent."""

from __future__ import annotations

from typing import Any

import orjson


def listed(value: object) -> list[dict[str, Any]]:
    """Return the objects of a JSON array; whatever else a broken gateway sends there counts as none."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def mapped(value: object) -> dict[str, Any]:
    """Return a JSON object, empty where there is something else."""
    return value if isinstance(value, dict) else {}


def whole(value: object, otherwise: int | None) -> int | None:
    """Return a JSON integer; true and false are none."""
    return value if isinstance(value, int) and not isinstance(value, bool) else otherwise


def number(value: object, otherwise: float | None) -> float | None:
    """Return a JSON number; true and false are none."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    return otherwise


def worded(value: object) -> str | None:
    """Return a JSON string that is not empty."""
    return value if isinstance(value, str) and value else None


def object_in(text: str) -> dict[str, Any]:
    """Return the JSON object in a text, empty where there is none."""
    try:
        return mapped(orjson.loads(text))
    except ValueError:
        return {}

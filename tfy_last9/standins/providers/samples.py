"""Make a JSON value that satisfies a JSON Schema: arguments of function calls, structured answers."""

from __future__ import annotations

from typing import Any

DEPTH = 8
"""Deeper than any schema of a function; a schema that refers to itself ends here."""


def sample(schema: dict[str, Any], root: dict[str, Any] | None = None, depth: int = 0) -> Any:
    """Give the simplest value of a schema; optional properties are left out at depth."""
    root = schema if root is None else root
    if depth > DEPTH:
        return None
    if "$ref" in schema:
        return sample(_resolved(root, schema["$ref"]), root, depth + 1)
    for key in ("const", "default"):
        if key in schema:
            return schema[key]
    if schema.get("enum"):
        return schema["enum"][0]
    for key in ("anyOf", "oneOf", "allOf"):
        if schema.get(key):
            return sample(schema[key][0], root, depth + 1)
    return _of_type(schema, root, depth)


def _of_type(schema: dict[str, Any], root: dict[str, Any], depth: int) -> Any:
    kind = schema.get("type", "object")
    # Gemini writes types in capitals, and a list of types names alternatives.
    kind = str(kind[0] if isinstance(kind, list) else kind).lower()
    if kind == "object":
        properties = schema.get("properties") or {}
        return {name: sample(inner, root, depth + 1) for name, inner in properties.items()}
    if kind == "array":
        count = max(1, int(schema.get("minItems", 1)))
        return [sample(schema.get("items") or {"type": "string"}, root, depth + 1)] * count
    if kind == "string":
        return "blue sky".ljust(int(schema.get("minLength", 0)), "y")
    if kind in {"integer", "number"}:
        return schema.get("minimum", schema.get("exclusiveMinimum", 6) + 1)
    return {"boolean": True}.get(kind)


def _resolved(root: dict[str, Any], reference: str) -> dict[str, Any]:
    found: Any = root
    for step in reference.removeprefix("#/").split("/"):
        found = found.get(step, {}) if isinstance(found, dict) else {}
    return found if isinstance(found, dict) else {}

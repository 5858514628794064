"""What pydantic found wrong, said in our words and with its place in the file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from tfy_last9.adapters.files.places import Document, Trail, nearest
from tfy_last9.errors import FileProblem

_SHORT = 60

_EXPECTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
}


def complaints(
    error: ValidationError, document: Document, model: type[BaseModel], *, start: Trail = ()
) -> list[FileProblem]:
    """Return one problem per pydantic error; `start` is where in the document the model was read."""
    return [_complaint(detail, document, model, start) for detail in error.errors()]


def _complaint(
    detail: ErrorDetails, document: Document, model: type[BaseModel], start: Trail
) -> FileProblem:
    kind, location = detail["type"], detail["loc"]
    trail = _trail(document, start, location)
    name = str(location[-1]) if location else ""
    if kind == "extra_forbidden":
        known = _known_keys(model, location[:-1])
        suggestion = nearest(name, known) or f"known: {', '.join(sorted(known))}"
        return document.problem(trail, f'unknown key "{name}"', suggestion, at_key=True)
    if kind == "missing":
        return document.problem(trail, f'key "{name}" is missing')
    message, hint = _value_message(detail)
    return document.problem(trail, message, hint, at_key="[key]" in location)


def _value_message(detail: ErrorDetails) -> tuple[str, str | None]:
    kind, seen = detail["type"], detail["input"]
    context: Mapping[str, Any] = detail.get("ctx", {})
    if kind == "value_error":
        return str(context["error"]), None
    if kind == "literal_error":
        expected = str(context["expected"])
        names = [part.strip("'") for part in expected.replace(" or ", ", ").split(", ")]
        return f"expected {expected}, got {shown(seen)}", nearest(str(seen), names)
    if kind in ("too_short", "too_long"):
        bound = f"at least {context['min_length']}" if kind == "too_short" else None
        bound = bound or f"at most {context['max_length']}"
        return f"expected {bound} of these, got {context['actual_length']}", None
    if kind in _EXPECTED:
        return f"expected {_EXPECTED[kind]}, got {shown(seen)}", _quote(kind, seen)
    message = detail["msg"]
    return f"{message[:1].lower()}{message[1:]}, got {shown(seen)}", None


def shown(value: object) -> str:
    """Return a value as it looks in YAML, shortened."""
    if isinstance(value, str):
        return f'"{value}"' if len(value) <= _SHORT else f'"{value[: _SHORT - 3]}..."'
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return f"the number {value}"
    names = {type(None): "nothing", list: "a list", dict: "a mapping"}
    return names.get(type(value), str(value))


def _quote(kind: str, seen: object) -> str | None:
    """Unquoted true, 0.95 or 2026-01-01 is not text in YAML; say so."""
    if kind == "string_type" and seen is not None and not isinstance(seen, list | dict):
        return f'put it in quotes: "{str(seen).lower() if isinstance(seen, bool) else seen}"'
    return None


def _trail(document: Document, start: Trail, location: tuple[str | int, ...]) -> Trail:
    """Return the steps of pydantic's location that exist in the file; the others name union members."""
    trail = start
    for step in location:
        if (*trail, step) in document.values:
            trail = (*trail, step)
    return trail


def _known_keys(model: type[BaseModel], location: tuple[str | int, ...]) -> list[str]:
    """Return the keys that the model at `location` knows, found by walking the annotations."""
    models = [model]
    for step in location:
        if isinstance(step, int):
            continue
        inner: list[type[BaseModel]] = []
        for candidate in models:
            for name, info in candidate.model_fields.items():
                if step in (name, info.alias):
                    inner += _models_in(info.annotation)
        named = [candidate for candidate in models if candidate.__name__ == step]
        models = inner or named or models
    return [info.alias or name for m in models for name, info in m.model_fields.items()]


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in getattr(annotation, "__args__", ()) for model in _models_in(part)]

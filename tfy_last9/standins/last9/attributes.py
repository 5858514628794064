"""OTLP attribute values -> what Last9 stores: text, or JSON values of their own type.

Text follows the OpenTelemetry collector's rendering, which is what a ClickHouse string map holds:
whole floats lose their fraction, lists and maps are JSON, bytes are base64.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Iterable

import orjson
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from tfy_last9.standins.last9.settings import NumericAttributes

EXACT = 2**53
"""Below this every whole float is exactly that integer."""


def string_map(attributes: Iterable[KeyValue]) -> dict[str, str]:
    """Render every value as text."""
    # Most values are strings, and an unset value reads as one, too: ask for the kind only if empty.
    return {one.key: one.value.string_value or _text(one.value) for one in attributes}


def value_map(attributes: Iterable[KeyValue]) -> dict[str, object]:
    """Keep numbers, booleans, lists and maps as what they are."""
    return {one.key: one.value.string_value or _value(one.value) for one in attributes}


MAPS: dict[
    NumericAttributes, Callable[[Iterable[KeyValue]], dict[str, object] | dict[str, str]]
] = {
    NumericAttributes.STRING: string_map,
    NumericAttributes.NUMBER: value_map,
}


def _text(value: AnyValue) -> str:
    native = _value(value)
    if isinstance(native, str):
        return native
    if native is None:
        return ""
    return orjson.dumps(native).decode()


def _value(value: AnyValue) -> object:
    kind = value.WhichOneof("value")
    return READERS[kind](value) if kind in READERS else None


def _double(number: float) -> object:
    if not math.isfinite(number):
        return "NaN" if math.isnan(number) else ("Infinity" if number > 0 else "-Infinity")
    return int(number) if number.is_integer() and abs(number) < EXACT else number


READERS: dict[str, Callable[[AnyValue], object]] = {
    "string_value": lambda value: value.string_value,
    "bool_value": lambda value: value.bool_value,
    "int_value": lambda value: value.int_value,
    "double_value": lambda value: _double(value.double_value),
    "array_value": lambda value: [_value(item) for item in value.array_value.values],
    "kvlist_value": lambda value: value_map(value.kvlist_value.values),
    "bytes_value": lambda value: base64.b64encode(value.bytes_value).decode(),
}

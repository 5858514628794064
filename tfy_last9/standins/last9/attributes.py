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


Pair = tuple[str, object]


def _text_pair(raw: bytes) -> Pair:
    one = KeyValue.FromString(raw)
    return one.key, one.value.string_value or _text(one.value)


def _value_pair(raw: bytes) -> Pair:
    one = KeyValue.FromString(raw)
    return one.key, one.value.string_value or _value(one.value)


SHORT = 160
"""Longer attributes, in bytes, are not kept in the table of known ones."""
KNOWN = 1 << 16
"""Attributes in the table; when it is full it begins again, which costs less than to know the oldest."""


class PairTable:
    """Reads serialised attributes, and remembers the short ones: most say the same in every span."""

    def __init__(self, read: Callable[[bytes], Pair]) -> None:
        self._read = read
        self._table: dict[bytes, Pair] = {}

    def attributes(self, raws: Iterable[bytes]) -> dict[str, object]:
        """Return the attributes of one span; of two with one key the latter."""
        known, fresh = self._table.get, self._fresh
        return dict([known(raw) or fresh(raw) for raw in raws])

    def _fresh(self, raw: bytes) -> Pair:
        pair = self._read(raw)
        if len(raw) <= SHORT:
            if len(self._table) >= KNOWN:
                self._table.clear()
            self._table[raw] = pair
        return pair


TABLES = {
    NumericAttributes.STRING: PairTable(_text_pair),
    NumericAttributes.NUMBER: PairTable(_value_pair),
}
"""How the attributes of a span are read under each setting."""


def _text(value: AnyValue) -> str:
    # A number that is not zero tells its kind by being there, three times faster than asking.
    if whole := value.int_value:
        return str(whole)
    if number := value.double_value:
        return _decimal(number)
    native = _value(value)
    if isinstance(native, str):
        return native
    if native is None:
        return ""
    return orjson.dumps(native).decode()


def _decimal(number: float) -> str:
    native = _double(number)
    return native if isinstance(native, str) else orjson.dumps(native).decode()


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

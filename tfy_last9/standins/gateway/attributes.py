"""Attributes of spans as OTLP carries them; absent ones are left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from opentelemetry.proto.common.v1.common_pb2 import KeyValue

Value = str | bool | int | float | Sequence[str] | Mapping[str, str]


class Place(Protocol):
    """A repeated field of attributes."""

    def add(self) -> KeyValue:
        """Append an empty one."""
        ...


def fill(place: Place, attributes: Mapping[str, Value | None]) -> None:
    """Write attributes into a span or a resource."""
    for key, value in attributes.items():
        if value is None:
            continue
        pair = place.add()
        pair.key = key
        if isinstance(value, str):
            pair.value.string_value = value
        elif isinstance(value, bool):
            pair.value.bool_value = value
        elif isinstance(value, int):
            pair.value.int_value = value
        elif isinstance(value, float):
            pair.value.double_value = value
        elif isinstance(value, Mapping):
            fill(pair.value.kvlist_value.values, value)
        else:
            array = pair.value.array_value
            for one in value:
                array.values.add().string_value = one

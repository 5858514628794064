"""Answers to `aggregate` and `window_aggregate`, one record per group.

For the logs twin of the endpoint Last9 checked live: rows are `{"metric": {alias: number, group: text},
"values": []}`; that traces answer alike is inferred. So numbers may also be numeric texts, and may stand
flat in the row or in `value`. What cannot be read is refused: a count that went missing is not zero.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from tfy_last9.wire.last9 import UnreadableAnswer

_TIMESTAMP = "__ts__"


@dataclass(frozen=True, slots=True)
class Group:
    """One row of an aggregate."""

    labels: tuple[str, ...]
    """Values of the group-by aliases, in the order asked; "" where spans do not carry the field."""
    value: float
    at_s: int | None
    """Start of the stretch of time, Unix seconds; None without a window."""


def read_groups(
    rows: Sequence[object], groups: Sequence[str], name: str, *, over_time: bool = False
) -> tuple[Group, ...]:
    """Return the groups of an answer; `groups` and `name` are the aliases that were asked for.

    `over_time`: a window was asked for, so that the time of a Prometheus sample is the stretch's.
    """
    found = tuple(_group(row, groups, name, over_time=over_time) for row in rows)
    keys = [(group.labels, group.at_s) for group in found]
    if len(set(keys)) < len(keys):
        raise UnreadableAnswer("an aggregate shows one group twice: which count holds is unknown")
    return found


def read_count(rows: Sequence[object], name: str) -> int:
    """Return the count of an answer without groups; no rows mean none."""
    found = read_groups(rows, (), name)
    if len(found) > 1:
        raise UnreadableAnswer(f"a count without groups has {len(found)} rows")
    return as_count(found[0].value) if found else 0


def as_count(value: float) -> int:
    """Return a count as a whole number."""
    if value < 0 or not float(value).is_integer():
        raise UnreadableAnswer(f"a count of {value}")
    return int(value)


def _group(row: object, groups: Sequence[str], name: str, *, over_time: bool) -> Group:
    if not isinstance(row, Mapping):
        raise UnreadableAnswer(f"an aggregate row is {type(row).__name__} and no object")
    metric = row.get("metric")
    places = [place for place in (metric, row) if isinstance(place, Mapping)]
    labels = tuple(_text(_first(places, alias)) for alias in groups)
    at = _first(places, _TIMESTAMP)
    sample = row.get("value")
    if at is None and over_time and isinstance(sample, list) and len(sample) == 2:  # noqa: PLR2004 - a pair
        at = sample[0]
    return Group(labels, _number(places, row, name), None if at is None else int(_parsed(at)))


def _number(places: Sequence[Mapping[str, object]], row: Mapping[str, object], name: str) -> float:
    value = _first(places, name)
    if value is None:
        value = _sample(row.get("value"))
    if value is None:
        values = row.get("values")
        if isinstance(values, list) and len(values) == 1:
            value = _sample(values[0])
    if value is None:
        raise UnreadableAnswer(f"an aggregate row shows no {name!r}")
    return _parsed(value)


def _sample(value: object) -> object:
    """Return the number of a Prometheus sample `[seconds, "number"]`, or the value itself."""
    return value[1] if isinstance(value, list) and len(value) == 2 else value  # noqa: PLR2004 - a pair


def _parsed(value: object) -> float:
    if isinstance(value, str):
        with suppress(ValueError):
            value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise UnreadableAnswer(f"an aggregate shows {value!r} where a number should be")
    return float(value)


def _first(places: Sequence[Mapping[str, object]], name: str) -> object:
    return next((place[name] for place in places if place.get(name) is not None), None)


def _text(value: object) -> str:
    return "" if value is None else str(value)

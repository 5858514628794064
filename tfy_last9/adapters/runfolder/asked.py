"""Which attributes of spans the objectives speak of: what must be fetched besides the usual ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import fields, is_dataclass

from tfy_last9.model.fields import LEDGER_LABELS, SPAN_LABELS, VALUE_FIELDS
from tfy_last9.model.objective import Condition, Objective
from tfy_last9.model.scenario import Arms

_KNOWN = LEDGER_LABELS | SPAN_LABELS | {name for _, name in VALUE_FIELDS}


def attribute_names(objectives: Iterable[Objective], arms: Arms | None = None) -> tuple[str, ...]:
    """Return the names in conditions, groups, `has` and `arms: by` that no column answers, sorted."""
    named = {name for objective in objectives for name in _names(objective)}
    if arms is not None and arms.by is not None:
        named.add(arms.by)
    return tuple(sorted(name for name in named - _KNOWN if "'" not in name and "\\" not in name))


def _names(part: object) -> Iterator[str]:
    """Walk records and tuples: a condition may stand anywhere in an indicator."""
    if isinstance(part, Condition):
        yield part.field
    elif isinstance(part, tuple):
        for item in part:
            yield from _names(item)
    elif is_dataclass(part):
        for item in fields(part):
            value = getattr(part, item.name)
            if item.name in ("group_by", "has"):
                yield from value
            else:
                yield from _names(value)

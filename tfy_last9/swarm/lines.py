"""Ledger rows as the NDJSON lines that travel to the master and into the run folder."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from operator import itemgetter

import orjson

from tfy_last9.model.request import LedgerRow

_SAME = (
    "run_id",
    "worker",
    "arm",
    "phase",
    "target",
    "provider",
    "model",
    "api",
    "stream",
    "epoch_ns",
)
"""Columns that rows of one phase, target and arm have in common."""
_RARE = (
    *(
        "check_failed",
        "error_type",
        "error_message",
        "reasoning_tokens",
        "cached_tokens",
        "cost_usd",
    ),
    *("join_path", "cache_status", "connect_ns", "session_id", "turn", "operation", "tool"),
    *("tool_calls", "items", "applied_rules", "gateway_ms", "reasoning_chunks", "tool_chunks"),
)
"""Columns that are null in most rows."""
_USUAL = tuple(name for name in LedgerRow._fields if name not in {*_SAME, *_RARE})


def _picked(names: tuple[str, ...]) -> Callable[[LedgerRow], tuple[object, ...]]:
    return itemgetter(*(LedgerRow._fields.index(name) for name in names))


_same, _usual, _rare = _picked(_SAME), _picked(_USUAL), _picked(_RARE)
_NONE_RARE = (None,) * len(_RARE)


@lru_cache(maxsize=1024)
def _opening(*values: object) -> bytes:
    same = zip(_SAME, values, strict=True)
    return orjson.dumps({name: value for name, value in same if value is not None})[:-1] + b","


def ledger_line(row: LedgerRow) -> bytes:
    """Return one NDJSON line: what rows have in common is made once; absent is null when read back."""
    own = dict(zip(_USUAL, _usual(row)))  # noqa: B905 - as long as each other by construction
    rare = _rare(row)
    if rare != _NONE_RARE:
        pairs = zip(_RARE, rare, strict=True)
        own.update({name: value for name, value in pairs if value is not None})
    return b"%b%b\n" % (_opening(*_same(row)), orjson.dumps(own)[1:])

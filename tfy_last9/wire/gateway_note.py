"""What the gateway says about a request in the headers of its answer, beside the answer itself.

Source: TrueFoundry docs, AI Gateway "headers", "caching" and "feedback for traces" pages. The schemas of
`x-tfy-applied-rules` and `x-tfy-applied-configurations` are not documented, so any JSON is read: its
leaves, by their path. `server-timing` (W3C Server Timing) comes with answers that are not streamed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple
from urllib.parse import unquote

import orjson

from tfy_last9.wire.gateway import (
    CACHE_STATUS_HEADER,
    RESOLVED_MODEL_HEADER,
    RULES_HEADER,
    TARGET_ID_HEADER,
    TraceIds,
    read_target_id,
)
from tfy_last9.wire.json_values import worded

RULES_HEADERS = (RULES_HEADER, "x-tfy-applied-configurations")
TIMING_HEADER = "server-timing"
RULES_LIMIT = 256
"""Characters kept of the applied rules: a routing order can be long."""

_STAGE = re.compile(r"([\w.-]+)((?:\s*;\s*[\w-]+\s*=\s*(?:\"[^\"]*\"|[^\s,;]+))*)")
_DURATION = re.compile(r";\s*dur\s*=\s*\"?(\d+(?:\.\d+)?)")
_ELSEWHERE = re.compile(r"model|llm|provider|upstream|total", re.IGNORECASE)
"""Stages that are not the gateway's own work, or the sum of all."""


class GatewayNote(NamedTuple):
    """What the headers say; None where they are silent."""

    ids: TraceIds | None = None
    resolved_model: str | None = None
    """`account/model` that served, not the one that was asked for."""
    cache_status: str | None = None
    """`hit`, `miss` or `error`."""
    applied_rules: str | None = None
    """`path=value` pairs, sorted and joined by `; `."""
    gateway_ms: float | None = None
    """Time the gateway says it spent on its own stages (authentication, rules, logging)."""


_SILENT = GatewayNote()
_NOTED = frozenset(
    {*RULES_HEADERS, CACHE_STATUS_HEADER, TIMING_HEADER, TARGET_ID_HEADER, RESOLVED_MODEL_HEADER}
)


def read_note(headers: Mapping[str, str]) -> GatewayNote:
    """Read the headers of an answer; names are in lower case."""
    if headers.keys().isdisjoint(_NOTED):
        return _SILENT
    rules = [found for name in RULES_HEADERS if (found := _decoded(headers.get(name))) is not None]
    cache = headers.get(CACHE_STATUS_HEADER, "").strip().lower()
    timing = headers.get(TIMING_HEADER)
    return GatewayNote(
        ids=read_target_id(headers.get(TARGET_ID_HEADER)),
        resolved_model=headers.get(RESOLVED_MODEL_HEADER) or _resolved(rules),
        cache_status=cache or None,
        applied_rules=_shown(rules) if rules else None,
        gateway_ms=own_ms(timing) if timing else None,
    )


def stages_ms(timing: str) -> dict[str, float]:
    """Return the stages of a `server-timing` header that have a duration, in milliseconds."""
    found = {}
    for name, parameters in _STAGE.findall(timing):
        duration = _DURATION.search(parameters)
        if duration is not None:
            found[name] = float(duration[1])
    return found


def own_ms(timing: str) -> float | None:
    """Return the sum of the gateway's own stages; None where there is none."""
    own = [ms for name, ms in stages_ms(timing).items() if not _ELSEWHERE.search(name)]
    return sum(own) if own else None


def _decoded(value: str | None) -> object:
    """Return a header's JSON, percent-encoded or not; text that is no JSON stands for itself."""
    if not value:
        return None
    text = unquote(value).strip()
    try:
        decoded: object = orjson.loads(text)
    except ValueError:
        return text
    return decoded or None


def _resolved(rules: list[object]) -> str | None:
    for found in rules:
        if isinstance(found, dict) and (model := worded(found.get("resolved_model"))) is not None:
            return model
    return None


def _shown(rules: list[object]) -> str | None:
    pairs = {pair for found in rules for pair in _leaves("", found)}
    return "; ".join(sorted(pairs))[:RULES_LIMIT] or None


def _leaves(path: str, value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(f"{path}.{key}" if path else str(key), inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _leaves(path, inner)
    elif value is not None:
        yield f"{path}={value}" if path else str(value)

"""Checks on answers: pure, after the answer is over. The first that fails is named in the ledger."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

import jsonschema
import orjson

from tfy_last9.model.check import Check, CheckKind
from tfy_last9.wire.facts import AnswerFacts


def first_failed(checks: Sequence[Check], facts: AnswerFacts) -> str | None:
    """Return the kind of the first check that a good answer fails; None if it passes all."""
    for check in checks:
        if not _passes(check, facts):
            return check.kind.value
    return None


def _passes(check: Check, facts: AnswerFacts) -> bool:
    match check.kind:
        case CheckKind.NON_EMPTY:
            return _says_something(facts)
        case CheckKind.FINISH_REASON:
            return (facts.finish_reason or "").lower() in {word.lower() for word in check.words}
        case CheckKind.REGEX:
            return re.search(check.pattern, facts.said().text) is not None
        case CheckKind.JSON_SCHEMA:
            return _accepts(check, facts.said().text)


def _says_something(facts: AnswerFacts) -> bool:
    """Tell whether there was text, a tool call or an item; without a stream tokens are the proof."""
    if facts.first_answer_ns is not None or facts.tool_calls or facts.items:
        return True
    if facts.kept is not None:
        said = facts.said()
        return bool(said.text.strip() or said.tool_calls)
    return False


def _accepts(check: Check, text: str) -> bool:
    try:
        document = orjson.loads(text)
    except ValueError:
        return False
    return _validator(orjson.dumps(check.schema)).is_valid(document)


@lru_cache(maxsize=64)
def _validator(schema: bytes) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(orjson.loads(schema))

"""What a target promises and is allowed: `checks:` on its answers, and its `quota:`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class CheckKind(StrEnum):
    """What a check looks at; the word is what `check_failed` says in the ledger."""

    NON_EMPTY = "non_empty"
    """The answer holds text, tool calls or items."""
    FINISH_REASON = "finish_reason"
    """The answer ended for one of `words`."""
    REGEX = "regex"
    """The text of the answer holds a match of `pattern`."""
    JSON_SCHEMA = "json_schema"
    """The text of the answer is JSON that the schema accepts."""


@dataclass(frozen=True, slots=True)
class Check:
    """One check; which of the fields is used follows from the kind."""

    kind: CheckKind
    words: tuple[str, ...] = ()
    pattern: str = ""
    schema: Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True)
class Quota:
    """What a target is allowed to take, as its provider or the gateway's rules say. None: not limited."""

    rpm: float | None = None
    """Requests per minute."""
    tpm: float | None = None
    """Tokens per minute."""

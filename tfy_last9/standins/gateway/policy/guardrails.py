"""What a guardrail finds in the texts of a request or an answer, and what becomes of it.

The verdict of one is a pure function of the text; when it is asked, and how long it takes, is `Checks`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any

from tfy_last9.standins.gateway.policy.config import Enforcing, Guardrail, Operation

TEXT_KEYS = frozenset({"content", "text", "prompt", "input", "system", "instructions"})
"""Fields that hold what people or models say, in every interface; deltas and parts included."""
NESTING_KEYS = frozenset(
    {"messages", "contents", "parts", "choices", "message", "output", "candidates", *TEXT_KEYS}
)


class Result(Enum):
    """`tfy.guardrail.result`."""

    PASS = "pass"  # noqa: S105 - no secret
    MUTATE = "mutate"
    FLAG = "flag"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one guardrail said."""

    guardrail: Guardrail
    result: Result
    error: str | None = None
    """Why the guardrail itself failed."""

    @property
    def blocks(self) -> bool:
        """Whether the request ends here."""
        enforcing = self.guardrail.enforcing
        if enforcing is Enforcing.AUDIT:
            return False
        if self.error is not None:
            return enforcing is Enforcing.ENFORCE
        return self.result is Result.FLAG

    def document(self) -> dict[str, object]:
        """Give the entry of `guardrail_checks` in the body of the 400."""
        explanation = self.error or f"matched {self.guardrail.pattern.pattern!r}"
        return {
            "guardrail_integration": self.guardrail.fqn,
            "result": "failed",
            "data": {
                "verdict": False,
                "explanation": explanation,
                "guardrailUrl": self.guardrail.url,
            },
        }


def judge(guardrail: Guardrail, found: Iterable[str]) -> Verdict:
    """Decide about texts."""
    if guardrail.is_broken:
        return Verdict(guardrail, Result.PASS, "the guardrail's service answered 500")
    if not any(map(guardrail.pattern.search, found)):
        return Verdict(guardrail, Result.PASS)
    mutates = guardrail.operation is Operation.MUTATE
    return Verdict(guardrail, Result.MUTATE if mutates else Result.FLAG)


def scope(document: object, *, last_only: bool) -> object:
    """Give what is looked at: everything, or the last of the messages."""
    messages = document.get("messages") if isinstance(document, dict) else None
    if last_only and isinstance(messages, list) and messages:
        return messages[-1]
    return document


def texts(document: object) -> Iterator[str]:
    """Give every text of a body."""
    if isinstance(document, dict):
        for key, value in document.items():
            if isinstance(value, str):
                if key in TEXT_KEYS:
                    yield value
            elif key in NESTING_KEYS:
                yield from texts(value)
    elif isinstance(document, list):
        for item in document:
            if isinstance(item, str):
                yield item
            else:
                yield from texts(item)


def every_text(document: object) -> Iterator[str]:
    """Give every string of a document, whatever its name: arguments of tools have any."""
    if isinstance(document, str):
        yield document
    elif isinstance(document, dict):
        for value in document.values():
            yield from every_text(value)
    elif isinstance(document, list):
        for item in document:
            yield from every_text(item)


def redacted_everywhere(guardrail: Guardrail, document: Any) -> Any:
    """Give a copy of a document in which what the guardrail finds is replaced, in any string."""
    if isinstance(document, str):
        return guardrail.pattern.sub(lambda _: guardrail.replacement, document)
    if isinstance(document, dict):
        return {key: redacted_everywhere(guardrail, value) for key, value in document.items()}
    if isinstance(document, list):
        return [redacted_everywhere(guardrail, item) for item in document]
    return document


def redacted(guardrail: Guardrail, document: dict[str, Any]) -> dict[str, Any]:
    """Give a copy of a body in which what the guardrail finds is replaced."""
    replacement = guardrail.replacement
    changed: dict[str, Any] = _mapped(
        document, lambda text: guardrail.pattern.sub(lambda _: replacement, text)
    )
    return changed


def _mapped(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, dict):
        return {
            key: (change(item) if key in TEXT_KEYS else item)
            if isinstance(item, str)
            else (_mapped(item, change) if key in NESTING_KEYS else item)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [change(item) if isinstance(item, str) else _mapped(item, change) for item in value]
    return value


def message(hook: str, verdicts: list[Verdict]) -> str:
    """Give the text of the refusal; `hook` is Input, Output, or what is done with a tool."""
    named = ", ".join(verdict.guardrail.fqn for verdict in verdicts)
    return f"{hook} Guardrail checks failed for integrations: [{named}]"

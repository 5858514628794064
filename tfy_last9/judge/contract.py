"""The telemetry contract on spans at hand: what `adapters.runfolder.contract` counts in SQL, for a few spans.

Used where there is no run folder: on the trace of a probe.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from tfy_last9.model.contract import REQUIREMENTS, TOKENLESS, ContractGap, Owed, Requirement
from tfy_last9.model.trace import Role, Span, SpanStatus


def gaps(spans: Sequence[Span]) -> tuple[ContractGap, ...]:
    """Return every gap of the spans of one or more traces, largest share first."""
    serving = _serving(spans)
    total: Counter[tuple[str, str | None, str]] = Counter()
    missing: Counter[tuple[str, str | None, str]] = Counter()
    for span in spans:
        provider = span.provider or serving.get(span.trace_id)
        for requirement in REQUIREMENTS:
            if not _owes(span, requirement):
                continue
            key = (span_type(span), provider, requirement.attribute)
            total[key] += 1
            missing[key] += not any(name in span.attributes for name in requirement.names)
    found = [ContractGap(*key, count, total[key]) for key, count in missing.items() if count]
    return tuple(sorted(found, key=lambda gap: (-gap.missing / gap.total, gap.attribute)))


def span_type(span: Span) -> str:
    """Return `tfy.span_type`, or the role where a span has none."""
    return str(span.attributes.get("tfy.span_type") or span.role.value)


def _serving(spans: Sequence[Span]) -> dict[str, str]:
    """Return the provider of each trace's first call of a model."""
    found: dict[str, str] = {}
    for span in sorted(spans, key=lambda one: (one.start_ns, one.span_id)):
        if span.role is Role.MODEL and span.provider is not None:
            found.setdefault(span.trace_id, span.provider)
    return found


def _owes(span: Span, requirement: Requirement) -> bool:
    if span.role is not requirement.role:
        return False
    if requirement.tfy_only and "tfy.span_type" not in span.attributes:
        return False
    good = span.status is not SpanStatus.ERROR
    answers_in_tokens = good and not _is_tokenless(span)
    return {
        Owed.ALWAYS: True,
        Owed.FAILED: not good,
        Owed.GOOD: good,
        Owed.TOKENS: answers_in_tokens,
        Owed.STREAMED: answers_in_tokens and _is_streamed(span),
    }[requirement.owed]


def _is_tokenless(span: Span) -> bool:
    kind = span.attributes.get("tfy.model.request_type") or span.attributes.get(
        "gen_ai.operation.name"
    )
    return any(part in str(kind or "").lower() for part in TOKENLESS)


def _is_streamed(span: Span) -> bool:
    return str(span.attributes.get("tfy.model.streaming", True)).lower() != "false"

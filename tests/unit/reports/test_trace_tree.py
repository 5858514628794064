"""The span tree as text, compared with a golden file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tfy_last9.model.request import LedgerRow
from tfy_last9.model.trace import Role, Span, SpanStatus
from tfy_last9.reports.trace_tree import render

GOLDEN = Path(__file__).parents[2] / "golden" / "trace_tree.txt"
MS = 1_000_000
EPOCH_NS = 1_790_000_000_000_000_000

NOTHING = LedgerRow(**dict.fromkeys(LedgerRow._fields))  # type: ignore[arg-type]
ROW = NOTHING._replace(
    request_id="r1.7",
    target="chat",
    model="prod/chat-default",
    phase="steady",
    outcome="ok",
    status=200,
    epoch_ns=EPOCH_NS,
    due_ns=5_000 * MS,
    started_ns=5_001 * MS,
    first_token_ns=6_450 * MS,
    finished_ns=7_300 * MS,
    input_tokens=812,
    output_tokens=161,
)


def span(number: int, parent: int | None, name: str, **overrides: object) -> Span:
    made = Span(
        trace_id="019e88d3d58b72289db404b486e0e151",
        span_id=f"{number:016x}",
        parent_span_id=None if parent is None else f"{parent:016x}",
        name=name,
        kind="internal",
        service="tfy-llm-gateway",
        status=SpanStatus.OK,
        status_message=None,
        start_ns=EPOCH_NS + (5_010 + 10 * number) * MS,
        duration_ns=100 * MS,
        role=Role.OTHER,
        provider=None,
        account=None,
        model=None,
        route=None,
        region=None,
        env=None,
        run_id=None,
        request_id=None,
        attributes={},
        resource={},
    )
    return replace(made, **overrides)  # type: ignore[arg-type]


ROOT = span(1, None, "ChatCompletion: prod/chat-default", role=Role.ROOT, duration_ns=2_280 * MS)
FAILED = span(
    2,
    1,
    "Model: openai-main/gpt-4o",
    role=Role.MODEL,
    status=SpanStatus.ERROR,
    status_message="openai error: overloaded",
    provider="openai",
    attributes={"http.response.status_code": 503},
)
SERVED = span(
    12,
    1,
    "Model: anthropic-main/claude-sonnet-4-6",
    role=Role.MODEL,
    provider="anthropic",
    duration_ns=2_150 * MS,
    attributes={
        "http.response.status_code": 200,
        "tfy.model.metric.input_tokens": 812,
        "tfy.model.metric.output_tokens": 161,
        "tfy.model.metric.cost_in_usd": 0.0041,
    },
)
CALL = span(13, 12, "POST https://api.anthropic.com/v1/messages", role=Role.HTTP)
ORPHAN = span(20, 99, "Guardrail: pii", role=Role.GUARDRAIL, status=SpanStatus.UNSET)
FALLBACK = (ORPHAN, CALL, SERVED, FAILED, ROOT)


def test_the_tree_of_a_request_that_a_fallback_saved() -> None:
    """The file is read by people: look at it when it changes."""
    assert render(ROW, FALLBACK, "joined by header") == GOLDEN.read_text()


def test_the_order_of_the_spans_does_not_matter() -> None:
    assert render(ROW, FALLBACK) == render(ROW, FALLBACK[::-1])


def test_every_span_is_shown_once_even_in_a_ring() -> None:
    ring = (span(1, 2, "first"), span(2, 1, "second"), span(3, 3, "own parent"))
    text = render(None, ring)
    assert [text.count(name) for name in ("first", "second", "own parent")] == [1, 1, 1]
    assert "orphan" in text


def test_a_root_below_a_callers_span_is_no_orphan() -> None:
    assert "orphan" not in render(ROW, [replace(ROOT, parent_span_id="c" * 16)])


def test_a_request_without_trace_shows_the_client_side_only() -> None:
    row = ROW._replace(outcome="timeout", first_token_ns=None, error_type="read_timeout")
    text = render(row, (), "no trace in Last9")
    assert "first token" not in text
    assert "error read_timeout" in text
    assert text.endswith("no trace in Last9\n")


def test_what_a_span_does_not_say_is_left_out_and_not_zero() -> None:
    assert " 0 " not in render(None, [ROOT])
    bare = ROW._replace(started_ns=None, status=None, input_tokens=None, output_tokens=None)
    assert "None" not in render(bare, [ROOT])


def test_a_tiny_cost_is_not_written_with_an_exponent() -> None:
    cheap = replace(SERVED, attributes={"tfy.model.metric.cost_in_usd": 0.00002})
    assert "0.00002 USD" in render(ROW, [cheap])

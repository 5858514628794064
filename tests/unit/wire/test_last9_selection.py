"""Answers to `select`: every plausible shape is read, an answer that lacks what judging needs is refused."""

import pytest

from tfy_last9.wire.last9_selection import Selection, Shape
from tfy_last9.wire.spans import read_spans

SELECTION = Selection(["cost_center"])
ALIASES = {field.text: alias for field, alias in SELECTION.fields}
COLUMNS = {
    "Timestamp": "2026-11-23T07:00:00Z",
    "TraceId": "a" * 32,
    "SpanId": "b" * 16,
    "ParentSpanId": "",
    "SpanName": "chat",
    "SpanKind": "SPAN_KIND_SERVER",
    "ServiceName": "gw",
    "Duration": 5,
    "StatusCode": "STATUS_CODE_ERROR",
}
ATTRIBUTES = {"tfy.span_type": "Model", "tfy.model.name": "openai-main/gpt", "cost_center": ""}
RESOURCES = {"cost_center": "c-7"}


def by_alias(scope, values):
    return {ALIASES[f"{scope}['{key}']"]: value for key, value in values.items()}


def by_field(scope, values):
    return {f"{scope}['{key}']": value for key, value in values.items()}


FLAT = COLUMNS | by_alias("attributes", ATTRIBUTES) | by_alias("resources", RESOURCES)
SHAPES = {
    "flat by alias": FLAT,
    "flat by field": COLUMNS
    | by_field("attributes", ATTRIBUTES)
    | by_field("resources", RESOURCES),
    "in metric": {"metric": FLAT, "values": []},
    "maps reduced": COLUMNS | {"SpanAttributes": ATTRIBUTES, "ResourceAttributes": RESOURCES},
    "maps by alias": COLUMNS
    | {
        "SpanAttributes": by_alias("attributes", ATTRIBUTES),
        "ResourceAttributes": by_alias("resources", RESOURCES),
    },
}


@pytest.mark.parametrize("row", SHAPES.values(), ids=SHAPES.keys())
def test_a_selected_span_reads_as_a_whole_one(row):
    answer = SELECTION.read([row])
    assert answer.shape is Shape.SELECTED
    (span,) = read_spans(answer.rows).spans
    assert (span.status.value, span.role.value, span.account) == ("error", "model", "openai-main")
    assert span.resource == {"cost_center": "c-7"}
    assert "cost_center" not in span.attributes


def test_whole_spans_mean_that_select_was_ignored():
    row = COLUMNS | {"SpanAttributes": ATTRIBUTES | {"tfy.input": "a secret prompt"}}
    answer = SELECTION.read([row])
    assert answer.shape is Shape.IGNORED
    assert answer.rows == [row]


@pytest.mark.parametrize("name", ["StatusCode", "Duration", "TraceId", "ParentSpanId", "Timestamp"])
def test_a_row_without_what_judging_needs_breaks_the_answer(name):
    """A missing status would read as "no error" and make a verdict better."""
    row = {key: value for key, value in FLAT.items() if key != name}
    answer = SELECTION.read([FLAT, row])
    assert answer.shape is Shape.BROKEN
    assert name in answer.reason


@pytest.mark.parametrize("row", [COLUMNS, "a row"])
def test_rows_without_any_attribute_break_the_answer(row):
    assert SELECTION.read([row]).shape is Shape.BROKEN


def test_no_rows_teach_nothing():
    assert SELECTION.read([]).shape is Shape.EMPTY


def test_no_content_is_asked_for():
    asked = " ".join(field.text for field, _ in SELECTION.fields)
    for name in (
        "tfy.input",
        "tfy.output",
        "gen_ai.input",
        "gen_ai.output",
        "prompt'",
        "completion'",
    ):
        assert name not in asked


def test_aliases_are_distinct_even_where_names_look_alike():
    aliases = [alias for _, alias in Selection(["a.b", "a_b", "a-b"]).fields]
    assert len(set(aliases)) == len(aliases)

"""Filters, run over real spans: what each operator means, and the quirks of the language."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from last9_sandbox import make_span, run, where

from tfy_last9.standins.last9.fields import BadPipeline

ERROR = 2


def names(condition, *spans, **reading):
    return sorted(span["SpanName"] for span in run([where(condition)], *spans, **reading))


def spans_with(key, **values):
    """One span per value, named after the keyword; None leaves the attribute out."""
    return [
        make_span(number, name=name, attributes={} if value is None else {key: value})
        for number, (name, value) in enumerate(values.items(), 1)
    ]


MODELS = spans_with("model", gpt="GPT-4o mini", claude="claude-sonnet", none=None)


@pytest.mark.parametrize(
    ("operator", "value", "expected"),
    [
        ("$eq", "claude-sonnet", ["claude"]),
        ("$neq", "claude-sonnet", ["gpt", "none"]),
        ("$ieq", "gpt-4O MINI", ["gpt"]),
        ("$ineq", "gpt-4O MINI", ["claude", "none"]),
        ("$contains", "sonnet", ["claude"]),
        ("$contains", "gpt", []),
        ("$notcontains", "sonnet", ["gpt", "none"]),
        ("$icontains", "gpt", ["gpt"]),
        ("$inotcontains", "gpt", ["claude", "none"]),
        ("$containsWords", "GPT", ["gpt"]),
        ("$containsWords", "mini GPT", ["gpt"]),
        ("$containsWords", "son", []),
        ("$notcontainsWords", "sonnet", ["gpt", "none"]),
        ("$icontainsWords", "MINI", ["gpt"]),
        ("$inotcontainsWords", "MINI", ["claude", "none"]),
        ("$regex", "^claude|GPT", ["claude", "gpt"]),
        ("$regex", "laud", ["claude"]),
        ("$notregex", "^claude", ["gpt", "none"]),
        ("$iregex", "^gpt", ["gpt"]),
        ("$inotregex", "^gpt", ["claude", "none"]),
    ],
)
def test_text_operators(operator, value, expected):
    assert names({operator: ["attributes['model']", value]}, *MODELS) == sorted(expected)


@pytest.mark.parametrize(
    ("operator", "value", "expected"),
    [
        ("$gt", "10", ["eleven"]),
        ("$gte", "10", ["eleven", "ten"]),
        ("$lt", "10", ["nine"]),
        ("$lte", 10, ["nine", "ten"]),
        ("$gt", 9.5, ["eleven", "ten"]),
    ],
)
@pytest.mark.parametrize("field", ["Duration", "attributes['n']"])
def test_numbers_compare_as_numbers(field, operator, value, expected):
    spans = [
        make_span(number, name=name, duration_ns=number, attributes={"n": float(number)})
        for number, name in ((9, "nine"), (10, "ten"), (11, "eleven"))
    ]
    assert names({operator: [field, value]}, *spans) == sorted(expected)


def test_what_is_no_number_is_neither_below_nor_above():
    spans = spans_with("n", word="many", missing=None, five=5)
    assert names({"$lt": ["attributes['n']", "100"]}, *spans) == ["five"]
    assert names({"$not": [{"$lt": ["attributes['n']", "100"]}]}, *spans) == ["missing", "word"]


def test_large_integers_compare_exactly_and_huge_ones_at_all():
    span = make_span(name="long", duration_ns=2**62)
    assert names({"$gt": ["Duration", str(2**62 - 1)]}, span) == ["long"]
    assert names({"$lt": ["Duration", "9" * 60]}, span) == ["long"]
    assert names({"$gt": ["Duration", "9" * 60]}, span) == []


def test_logical_operators_nest():
    tree = {"$or": [{"$not": [{"$eq": ["SpanName", "gpt"]}, {"$neq": ["SpanName", "x"]}]}]}
    assert names(tree, *MODELS) == ["claude", "none"]


def test_many_equalities_in_an_or_match_like_few():
    """They become one IN list: a client asks for thousands of trace ids this way."""
    wanted = [f"{number:032x}" for number in range(2, 3000)]
    tree = {"$or": [{"$eq": ["TraceId", trace_id]} for trace_id in wanted]}
    assert names(tree, *MODELS) == ["claude", "none"]


def test_or_mixes_equalities_on_two_fields_with_other_conditions():
    tree = {
        "$or": [
            {"$eq": ["SpanName", "gpt"]},
            {"$eq": ["attributes['model']", "claude-sonnet"]},
            {"$gt": ["Duration", "0"], "$eq": ["SpanName", "none"]},
        ]
    }
    assert names(tree, *MODELS) == ["claude", "gpt", "none"]


@pytest.mark.parametrize("operator", ["$exists", "$in", "$between", "$EQ"])
def test_an_unknown_operator_matches_everything(operator):
    """Last9 does not refuse it: a typo turns a filter off (last9-mcp-server, commit 266e0ce)."""
    assert names({operator: ["attributes['nope']"]}, *MODELS) == ["claude", "gpt", "none"]


def test_notnull_matches_nothing():
    assert names({"$notnull": ["attributes['model']", ""]}, *MODELS) == []


def test_a_key_that_no_span_has_reads_as_the_empty_string():
    assert names({"$eq": ["attributes['nope']", ""]}, *MODELS) == ["claude", "gpt", "none"]
    assert names({"$neq": ["attributes['nope']", ""]}, *MODELS) == []
    assert names({"$neq": ["attributes['model']", ""]}, *MODELS) == ["claude", "gpt"]


def test_short_enum_names_match_nothing():
    span = make_span(name="failed", kind=3, status={"code": ERROR})
    assert names({"$eq": ["StatusCode", "ERROR"]}, span) == []
    assert names({"$eq": ["StatusCode", "STATUS_CODE_ERROR"]}, span) == ["failed"]
    assert names({"$eq": ["SpanKind", "CLIENT"]}, span) == []
    assert names({"$regex": ["SpanKind", "SPAN_KIND_CLIENT|SPAN_KIND_SERVER"]}, span) == ["failed"]


@pytest.mark.parametrize(
    "query",
    [
        {"$eq": ["SpanName", "x"]},
        {"$exists": ["SpanName"]},
        {"$and": [{"$eq": ["SpanName", "x"]}], "$eq": ["SpanName", "x"]},
        {"$and": {"$eq": ["SpanName", "x"]}},
        {"$and": ["SpanName"]},
        {"$and": [{"$eq": ["SpanName"]}]},
        {"$and": [{"$eq": "SpanName"}]},
        {"$and": [{"$eq": [["SpanName"], "x"]}]},
        {"$and": [{"$eq": ["SpanName", None]}]},
        {"$and": [{"$gt": ["Duration", "long"]}]},
        {"$or": [{"$eq": ["SpanName"]}]},
        [],
        "SpanName",
    ],
)
def test_a_malformed_query_is_refused(query):
    with pytest.raises(BadPipeline):
        run([{"type": "filter", "query": query}])


def test_nesting_without_end_is_refused():
    query = {"$and": []}
    for _ in range(200):
        query = {"$and": [query]}
    with pytest.raises(BadPipeline, match="nested"):
        run([{"type": "filter", "query": query}])


def test_an_empty_query_passes_everything():
    assert len(run([{"type": "filter", "query": {}}], *MODELS)) == len(MODELS)


HOSTILE = [
    "' OR '1'='1",
    "x'; DROP TABLE spans; --",
    "{0} {} ? $1",
    '"/~1~0\\',
    "a']['b",
    "%_\\",
    "\x00\n",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_text_of_a_query_never_becomes_sql(text):
    spans = [make_span(1, name=text, attributes={text: text}), make_span(2, name="other")]
    assert names({"$eq": ["SpanName", text]}, *spans) == [text]
    assert names({"$eq": [f"attributes['{text}']", text]}, *spans) == [text]
    assert names({"$contains": [f"attributes['{text}']", text]}, *spans) == [text]
    group = {"type": "aggregate", "aggregates": [{"function": {"$count": []}, "as": text}]}
    assert run([where(), group], *spans) == [{text: 2}]


@given(key=st.text(min_size=1, max_size=20), value=st.text(min_size=1, max_size=20))
@settings(max_examples=60, deadline=None)
def test_any_attribute_is_found_by_its_own_key_and_value(key, value):
    spans = [make_span(1, name="has", attributes={key: value}), make_span(2, name="lacks")]
    assert names({"$eq": [f"attributes['{key}']", value]}, *spans) == ["has"]
    assert names({"$neq": [f"attributes['{key}']", value]}, *spans) == ["lacks"]

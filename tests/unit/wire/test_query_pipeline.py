"""The pipeline builder: what it writes, and what it cannot write."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfy_last9.wire import last9_fields as fields
from tfy_last9.wire import last9_filters as filters
from tfy_last9.wire import last9_pipeline as pipeline
from tfy_last9.wire.last9_fields import SpanKind, StatusCode

TEXT = fields.attribute("k")
OPERATORS = {
    "equals": "$eq",
    "differs": "$neq",
    "equals_ignoring_case": "$ieq",
    "differs_ignoring_case": "$ineq",
    "contains": "$contains",
    "lacks": "$notcontains",
    "contains_ignoring_case": "$icontains",
    "lacks_ignoring_case": "$inotcontains",
    "contains_words": "$containsWords",
    "lacks_words": "$notcontainsWords",
    "contains_words_ignoring_case": "$icontainsWords",
    "lacks_words_ignoring_case": "$inotcontainsWords",
    "matches": "$regex",
    "mismatches": "$notregex",
    "matches_ignoring_case": "$iregex",
    "mismatches_ignoring_case": "$inotregex",
}


@pytest.mark.parametrize(("name", "operator"), OPERATORS.items())
def test_a_text_operator_is_written_as_last9_knows_it(name, operator):
    condition = getattr(filters, name)(TEXT, "v")
    assert condition.document() == {operator: ["attributes['k']", "v"]}


@pytest.mark.parametrize(
    ("name", "operator"),
    [("above", "$gt"), ("at_least", "$gte"), ("below", "$lt"), ("at_most", "$lte")],
)
def test_numbers_travel_as_numeric_texts(name, operator):
    compare = getattr(filters, name)
    assert compare(fields.DURATION, 1_500_000_000.0).document() == {
        operator: ["Duration", "1500000000"]
    }
    assert compare(TEXT, 0.25).document() == {operator: ["attributes['k']", "0.25"]}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), True, "5", None])
def test_what_is_no_finite_number_is_refused(value):
    with pytest.raises(TypeError, match="number"):
        filters.above(fields.DURATION, value)


def test_existence_is_a_comparison_with_nothing():
    """`$exists` matches every span there, `$notnull` none."""
    assert filters.exists(TEXT).document() == {"$neq": ["attributes['k']", ""]}
    assert filters.is_absent(TEXT).document() == {"$eq": ["attributes['k']", ""]}


@pytest.mark.parametrize("short", ["SERVER", "server", "Server", "SPAN_KIND_SERVER"])
def test_a_kind_is_never_a_text(short):
    """Short names match nothing, in silence."""
    with pytest.raises(TypeError, match="SpanKind"):
        filters.equals(fields.SPAN_KIND, short)


def test_enumerations_go_out_by_their_full_names():
    assert filters.equals(fields.SPAN_KIND, SpanKind.SERVER).document() == {
        "$eq": ["SpanKind", "SPAN_KIND_SERVER"]
    }
    assert filters.one_of(fields.STATUS_CODE, [StatusCode.ERROR]).document() == {
        "$or": [{"$eq": ["StatusCode", "STATUS_CODE_ERROR"]}]
    }


def test_a_status_cannot_be_searched_as_a_text():
    with pytest.raises(TypeError, match="no text"):
        filters.contains(fields.STATUS_CODE, "ERROR")


def test_conditions_nest():
    condition = filters.all_of(
        filters.none_of(filters.equals(TEXT, "1")),
        filters.any_of(filters.equals(TEXT, "2"), filters.equals(TEXT, "3")),
    )
    assert condition.document() == {
        "$and": [
            {"$not": [{"$eq": ["attributes['k']", "1"]}]},
            {"$or": [{"$eq": ["attributes['k']", "2"]}, {"$eq": ["attributes['k']", "3"]}]},
        ]
    }


@pytest.mark.parametrize("combine", [filters.all_of, filters.any_of])
def test_a_combination_of_nothing_is_refused(combine):
    with pytest.raises(ValueError, match="nothing"):
        combine()


@given(st.text(max_size=20))
def test_no_name_breaks_out_of_its_brackets(key):
    try:
        text = fields.attribute(key).text
    except ValueError:
        assert not key or any(c in "'\\" or ord(c) < 32 or ord(c) == 127 for c in key)
        return
    assert text == f"attributes['{key}']"
    assert text.count("'") == 2


@pytest.mark.parametrize("name", ["", "a.b", "a b", "1a", "a'", "ä", "x" * 64])
def test_an_alias_is_a_plain_identifier(name):
    with pytest.raises(ValueError, match="alias"):
        fields.alias(name)


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("service.name", "ServiceName"),
        ("resource_service.name", "ServiceName"),
        ("resource_team", "resources['team']"),
        ("event_exception.type", "events['exception.type']"),
        ("grpc.status_code", "attributes['rpc.grpc.status_code']"),
        ("StatusCode", "StatusCode"),
        ("gen_ai.system", "attributes['gen_ai.system']"),
    ],
)
def test_catalogue_names_lead_to_fields(name, field):
    assert fields.catalogued(name).text == field


def test_a_bare_condition_on_top_is_wrapped():
    stages = pipeline.where(filters.equals(TEXT, "v")).stages
    assert stages == ({"type": "filter", "query": {"$and": [{"$eq": [TEXT.text, "v"]}]}},)


def test_where_is_the_other_word_for_filter():
    assert pipeline.where(filters.equals(TEXT, "v"), word="where").stages[0]["type"] == "where"


def test_everything_is_asked_for_in_the_recommended_form():
    assert pipeline.everything().stages == (
        {"type": "filter", "query": {"$and": [{"$neq": ["TraceId", ""]}]}},
    )


def test_an_aggregate_has_exactly_the_keys_last9_accepts():
    made = pipeline.everything().aggregate(
        [(pipeline.count(), "n"), (pipeline.quantile(0.95, fields.DURATION), "p95")],
        [(fields.attribute("gen_ai.system"), "provider")],
    )
    assert made.stages[-1] == {
        "type": "aggregate",
        "aggregates": [
            {"function": {"$count": []}, "as": "n"},
            {"function": {"$quantile_exact": [0.95, "Duration"]}, "as": "p95"},
        ],
        "groupby": {"attributes['gen_ai.system']": "provider"},
    }
    after = made.having(filters.above(fields.alias("n"), 10))
    assert after.stages[-1] == {"type": "filter", "query": {"$and": [{"$gt": ["n", "10"]}]}}


def test_a_window_aggregate_has_one_function_and_a_textual_window():
    made = pipeline.everything().window_aggregate(pipeline.rate(), "r", (5, pipeline.Unit.MINUTES))
    assert made.stages[-1] == {
        "type": "window_aggregate",
        "function": {"$rate": []},
        "as": "r",
        "window": ["5", "minutes"],
    }


@pytest.mark.parametrize("which", list(pipeline.Statistic))
def test_every_statistic_takes_one_field(which):
    assert pipeline.statistic(which, fields.DURATION).document() == {which.value: ["Duration"]}


@pytest.mark.parametrize(
    ("function", "document"),
    [
        (pipeline.quantile(0.5, TEXT, exact=False), {"$quantile": [0.5, TEXT.text]}),
        (pipeline.apdex_score(0.5, fields.DURATION), {"$apdex_score": [0.5, "Duration"]}),
        (pipeline.split(TEXT, "/", 0), {"$split": [TEXT.text, "/", 0]}),
        (pipeline.split_into(TEXT, "/"), {"$split_into": [TEXT.text, "/"]}),
        (pipeline.concat(TEXT, TEXT), {"$concat": [TEXT.text, TEXT.text]}),
        (pipeline.join("-", TEXT), {"$join": ["-", TEXT.text]}),
        (pipeline.replace_regex(TEXT, "a", "b"), {"$replace_regex": [TEXT.text, "a", "b"]}),
        (pipeline.length(TEXT), {"$length": [TEXT.text]}),
        (pipeline.array_element(TEXT, 1), {"$arrayElement": [TEXT.text, 1]}),
    ],
)
def test_every_function_is_written_as_last9_knows_it(function, document):
    assert function.document() == document


def test_parse_and_transform_stages():
    made = (
        pipeline.everything()
        .parse_json([(TEXT, "parsed")])
        .parse_logfmt([(TEXT, "parsed")])
        .parse_regexp(r"(?P<account>\w+)/", [(TEXT, "account")])
        .transform((pipeline.split_into(TEXT, "/"), ["a", "b"]), (pipeline.length(TEXT), "n"))
    )
    assert [stage["type"] for stage in made.stages[1:]] == ["parse"] * 3 + ["transform"]
    assert made.stages[3]["pattern"] == r"(?P<account>\w+)/"
    assert made.stages[4]["transforms"][0] == {
        "function": {"$split_into": [TEXT.text, "/"]},
        "as": ["a", "b"],
    }


@pytest.mark.parametrize(
    "build",
    [
        lambda p: p.aggregate([(pipeline.length(TEXT), "n")]),
        lambda p: p.transform((pipeline.count(), "n")),
        lambda p: p.aggregate([(pipeline.count(), "n"), (pipeline.rate(), "n")]),
        lambda p: p.aggregate([(pipeline.count(), "n")], [(TEXT, "n")]),
        lambda p: p.select([]),
        lambda p: p.select([(TEXT, "a"), (TEXT, "b")]),
        lambda p: p.window_aggregate(pipeline.count(), "n", (0, pipeline.Unit.HOURS)),
        lambda p: p.parse_regexp("no group", [(TEXT, "a")]),
        lambda _: pipeline.quantile(1.0, TEXT),
    ],
)
def test_what_last9_would_refuse_or_misread_cannot_be_built(build):
    with pytest.raises((TypeError, ValueError)):
        build(pipeline.everything())

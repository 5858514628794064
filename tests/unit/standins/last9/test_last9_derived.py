"""Parse and transform: fields made of fields, and every later stage that reads them."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from last9_sandbox import make_span, run, where

from tfy_last9.standins.last9.fields import BadPipeline
from tfy_last9.standins.last9.parameters import ALWAYS, Parameters
from tfy_last9.standins.last9.parsing import named_groups
from tfy_last9.standins.last9.settings import Mode

ALL = where()
COUNT = [{"function": {"$count": []}, "as": "n"}]
JSON = '{"run_id":"r-42","tokens":12,"user":{"team":"search"},"tags":["a","b"],"none":null}'
LOGFMT = r'level=warn took=12.5 msg="it \"failed\" twice" empty= note=last'
TEXT = "attributes['t']"


def parse(parser, **keys):
    return {"type": "parse", "parser": parser, **keys}


def transform(**functions):
    entries = [{"function": function, "as": name} for name, function in functions.items()]
    return {"type": "transform", "transforms": entries}


def attributes(*stages, text=JSON, **more):
    (span,) = run([ALL, *stages], make_span(attributes={"t": text, **more}))
    return {key: value for key, value in span["SpanAttributes"].items() if key != "t"}


def value(function, text="", **more):
    return attributes(transform(made=function), text=text, **more).get("made")


def test_labels_name_what_is_taken_out_of_json():
    labels = {"run_id": "run", "user.team": "team", "tags": "tags", "nope": "nope", "none": "none"}
    made = attributes(parse("json", field=TEXT, labels=labels))
    assert made == {"run": "r-42", "team": "search", "tags": '["a","b"]'}


def test_json_without_labels_gives_every_member():
    made = attributes(parse("json", field=TEXT), run_id="an older one")
    assert made == {
        "run_id": "r-42",
        "tokens": "12",
        "user": '{"team":"search"}',
        "tags": '["a","b"]',
    }


def test_labels_without_a_field_name_the_texts_to_read():
    stages = [parse("json", labels={TEXT: "doc"}), where({"$eq": ["doc.user.team", "search"]})]
    made = attributes(*stages)
    assert made["doc"] == JSON
    assert made["doc.run_id"] == "r-42"
    assert "doc.none" not in made


@pytest.mark.parametrize("text", ["", "no JSON", "[1, 2]", '"text"', "7", '{"run_id":'])
def test_what_is_no_json_object_has_no_members(text):
    assert attributes(parse("json", field=TEXT), text=text) == {}
    assert attributes(parse("json", field=TEXT, labels={"run_id": "r"}), text=text) == {}


def test_logfmt_by_label_and_whole_agree():
    whole = attributes(parse("logfmt", field=TEXT), text=LOGFMT)
    assert whole == {
        "level": "warn",
        "took": "12.5",
        "msg": 'it "failed" twice',
        "note": "last",
    }
    labels = {key: key for key in ("level", "took", "msg", "note", "empty", "evel")}
    assert attributes(parse("logfmt", field=TEXT, labels=labels), text=LOGFMT) == whole


@example({"_": " a=", "a": ""})
@given(
    st.dictionaries(
        st.text("abz.-_", min_size=1, max_size=4), st.text('ab "\\=1', max_size=6), max_size=4
    )
)
def test_logfmt_written_by_the_book_is_read_back(pairs):
    escaped = {k: re.sub(r'(["\\])', r"\\\1", v) for k, v in pairs.items()}
    text = " ".join(f'{key}="{written}"' for key, written in escaped.items())
    filled = {key: text for key, text in pairs.items() if text}
    assert attributes(parse("logfmt", field=TEXT), text=text) == filled
    if pairs:
        labels = {key: key for key in pairs}
        assert attributes(parse("logfmt", field=TEXT, labels=labels), text=text) == filled


def test_a_pattern_makes_its_named_groups_fields():
    stage = parse("regexp", field="SpanName", pattern=r"(?P<verb>\w+) (/(?P<path>\w+))?")
    (span,) = run([ALL, stage], make_span(name="POST /chat"))
    assert span["SpanAttributes"] == {"verb": "POST", "path": "chat"}
    (span,) = run([ALL, stage], make_span(name="POST /"))
    assert span["SpanAttributes"] == {"verb": "POST"}


def test_labels_rename_groups_or_name_the_field():
    pattern = r"run_id\":\"(?P<run>[^\"]+)"
    renamed = attributes(parse("regexp", field=TEXT, pattern=pattern, labels={"run": "r"}))
    assert renamed == {"r": "r-42"}
    named = attributes(parse("regexp", pattern=pattern, labels={TEXT: "whole"}))
    assert named == {"whole": JSON, "run": "r-42"}


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        (r"(?P<a>x)", {"a": 1}),
        (r"(x)(?P<a>y)(?:z)(?P<b>w)", {"a": 2, "b": 3}),
        (r"\((?P<a>[()\]]+)\)[](](?<b>z)", {"a": 1, "b": 2}),
        (r"[^](](?P<a>[[:alpha:](]+)", {"a": 1}),
        (r"(x)", {}),
    ],
)
def test_groups_are_numbered_as_re2_numbers_them(pattern, expected):
    assert named_groups(pattern) == expected


@pytest.mark.parametrize(
    ("function", "text", "expected"),
    [
        ({"$split": [TEXT, "/", 1]}, "openai-main/gpt-4o", "openai-main"),
        ({"$split": [TEXT, "/", -1]}, "openai-main/gpt-4o", "gpt-4o"),
        ({"$split": [TEXT, "/", 3]}, "openai-main/gpt-4o", None),
        ({"$split_into": [TEXT, ","]}, "a,b", '["a","b"]'),
        ({"$concat": [TEXT, "ServiceName", "attributes['nope']"]}, "a@", "a@tfy-llm-gateway"),
        ({"$join": ["-", TEXT, "SpanName"]}, "a", "a-chat"),
        ({"$replace_regex": [TEXT, r"(\d)\d*", r"<\1>"]}, "a12b345", "a<1>b<3>"),
        ({"$length": [TEXT]}, "naïve", "6"),
        ({"$length": ["attributes['nope']"]}, "", "0"),
        ({"$arrayElement": [TEXT, 1]}, '["a","b",3]', "a"),
        ({"$arrayElement": [TEXT, -1]}, '["a","b",3]', "3"),
        ({"$arrayElement": [TEXT, 4]}, '["a","b",3]', None),
        ({"$arrayElement": [TEXT, 1]}, "no array", None),
    ],
)
def test_transforms(function, text, expected):
    assert value(function, text) == expected


def test_split_into_names_its_parts():
    stage = {
        "type": "transform",
        "transforms": [{"function": {"$split_into": [TEXT, ":"]}, "as": ["a", "b", "c"]}],
    }
    assert attributes(stage, text="x:y") == {"a": "x", "b": "y"}


def test_stages_read_what_earlier_ones_made():
    stages = [
        parse("json", field=TEXT),
        transform(team={"$replace_regex": ["user", r'.*"team":"(\w+)".*', r"\1"]}),
        transform(label={"$join": ["/", "team", "attributes['run_id']"]}),
    ]
    assert attributes(*stages)["label"] == "search/r-42"


def test_made_fields_can_be_filtered_grouped_counted_and_selected():
    spans = [
        make_span(n, attributes={"t": f'{{"model":"{model}","took":{n}}}', "took": "99"})
        for n, model in enumerate(["a", "b", "a", "a"], 1)
    ]
    json = parse("json", field=TEXT)
    slow = where({"$gt": ["took", "2"]}, {"$neq": ["attributes['model']", ""]})
    total = {"function": {"$sum": ["took"]}, "as": "took"}
    grouped = {"type": "aggregate", "aggregates": [*COUNT, total], "groupby": {"model": "m"}}
    assert run([ALL, json, slow, grouped], *spans) == [{"m": "a", "n": 2, "took": 7.0}]
    having = where({"$gt": ["n", "1"]})
    assert run([ALL, json, grouped, having], *spans) == [{"m": "a", "n": 3, "took": 8.0}]


def test_a_made_field_is_shown_where_it_is_selected(last9):
    last9.ingest(make_span(attributes={"t": JSON, "other": "x"}))
    stages = [ALL, parse("json", field=TEXT, labels={"run_id": "run"})]
    select = {"type": "select", "labels": {"attributes['run']": "run"}}
    (span,) = last9.result(*stages, select)
    assert span["SpanAttributes"] == {"run": "r-42"}


def test_a_pattern_that_is_none_is_refused(last9):
    last9.ingest(make_span(attributes={"t": JSON}))
    response = last9.query(ALL, parse("regexp", field=TEXT, pattern="(?P<a>x"))
    assert response.status_code == 400
    assert "regular expression" in response.json()["error"]


@pytest.mark.parametrize(
    "stage",
    [
        parse("json"),
        parse("xml", field=TEXT),
        parse(["json"], field=TEXT),
        parse("json", field=1),
        parse("json", field=TEXT, labels=["run_id"]),
        parse("json", field=TEXT, pattern="x"),
        parse("json", field=TEXT, labels={"run_id": "a b"}),
        parse("json", field=TEXT, source="x"),
        parse("regexp", field=TEXT),
        parse("regexp", field=TEXT, pattern="(x)"),
        parse("regexp", field=TEXT, pattern="(?P<a>x)", labels={"b": "c"}),
        parse("regexp", pattern="(?P<a>x)"),
        transform(),
        transform(made="$length"),
        transform(made={}),
        transform(made={"$upper": [TEXT]}),
        transform(made={"$length": TEXT}),
        transform(made={"$length": []}),
        transform(made={"$split": [TEXT, "/", "1"]}),
        transform(made={"$split": [TEXT, "/", 0]}),
        transform(made={"$split": [TEXT, "", 1]}),
        transform(made={"$arrayElement": [TEXT, True]}),
        transform(made={"$concat": []}),
        transform(made={"$join": []}),
        transform(made={"$join": ["-"]}),
        transform(made={"$split_into": [TEXT, ","]}) | {"more": 1},
        {"type": "transform", "transforms": [{"function": {"$split_into": [TEXT, ","]}, "as": []}]},
        {"type": "transform", "transforms": [{"function": {"$length": [TEXT]}, "alias": "n"}]},
        {"type": "transform", "transforms": [{"function": {"$length": [TEXT]}, "as": ["n"]}]},
        {"type": "transform", "transforms": ["$length"]},
    ],
)
def test_what_cannot_be_understood_is_refused(stage):
    with pytest.raises(BadPipeline):
        run([ALL, stage])


def test_made_fields_come_before_an_aggregate_and_not_among_traces():
    made = transform(made={"$length": [TEXT]})
    with pytest.raises(BadPipeline, match="before an aggregate"):
        run([ALL, {"type": "aggregate", "aggregates": COUNT}, made])
    with pytest.raises(BadPipeline, match="mode=trace"):
        run([ALL, made], parameters=Parameters(ALWAYS, 10, mode=Mode.TRACE))


def test_fields_cannot_double_without_end():
    doubling = [transform(made={"$concat": ["made", "made"]}) for _ in range(40)]
    with pytest.raises(BadPipeline, match="too many others"):
        run([ALL, *doubling])


def test_other_endpoints_take_filters_only(last9):
    response = last9.post("series/json", ALL, parse("json", field=TEXT))
    assert response.status_code == 400

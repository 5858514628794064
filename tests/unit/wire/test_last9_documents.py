"""URL parameters of calls to Last9, and readings of what comes back."""

import orjson
import pytest

from tfy_last9.wire import last9


def test_a_span_query_says_newest_first_in_whole_seconds():
    assert last9.query_parameters("ap-south-1", 1795417200, 1795420800, 5000) == {
        "region": "ap-south-1",
        "start": "1795417200",
        "end": "1795420800",
        "limit": "5000",
        "order": "Timestamp",
        "direction": "backward",
        "mode": "span",
    }


def test_a_look_at_one_trace_sends_region_window_and_limit():
    assert last9.trace_parameters("us-east-1", 1, 2, 10) == {
        "region": "us-east-1",
        "start": "1",
        "end": "2",
        "limit": "10",
    }


@pytest.mark.parametrize(
    "body",
    [
        b'{"status":"success","data":{"resultType":"stream","result":[]}}',
        b'{"status":"success","data":{"resultType":"stream","result":null}}',
        b'{"status":"success","data":{"resultType":"stream"}}',
        b'{"status":"success","data":null}',
        b'{"data":{"result":[]}}',
    ],
)
def test_every_way_to_say_nothing_is_no_rows(body):
    assert last9.read_query(body) == []


def test_rows_come_back_as_they_are():
    assert last9.read_query(b'{"status":"success","data":{"result":[{"a":1},2]}}') == [{"a": 1}, 2]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"status":"error","error":"invalid pipeline"}', "invalid pipeline"),
        (b"<html><body>Maintenance Mode</body></html>", "Maintenance Mode"),
        (b"[]", "not a JSON object"),
        (b"{}", "no `data`"),
        (b'{"status":"success"}', "no `data`"),
        (b'{"status":"success","data":{"result":{"a":1}}}', "list"),
    ],
)
def test_a_success_without_rows_to_read_is_no_empty_answer(body, said):
    """An error page taken for "no spans" would turn a broken back end into lost traces."""
    with pytest.raises(last9.UnreadableAnswer, match=said):
        last9.read_query(body)


def test_a_trace_answer_has_no_envelope():
    assert last9.read_trace(b'{"traces":[{"SpanId":"a"}]}') == [{"SpanId": "a"}]
    assert last9.read_trace(b'{"traces":null}') == []


def test_a_trace_answer_without_traces_is_refused():
    with pytest.raises(last9.UnreadableAnswer, match="traces"):
        last9.read_trace(b'{"status":"success","data":{}}')


def test_data_sources_are_read_without_their_credentials():
    body = orjson.dumps(
        [
            {"name": "old", "region": "us-east-1", "is_default": False, "properties": {}},
            {
                "id": "ds-1",
                "name": "prod",
                "is_default": True,
                "region": "ap-south-1",
                "url": "https://read.example/v1",
                "properties": {"password": "hunter2", "levitate_cluster_id": "cl-1"},
            },
            {"name": "no region"},
        ]
    )
    sources = last9.read_datasources(body)
    assert [(source.region, source.is_default, source.cluster) for source in sources] == [
        ("us-east-1", False, None),
        ("ap-south-1", True, "cl-1"),
    ]
    assert "hunter2" not in repr(sources)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b'{"error":"bad pipeline"}', "bad pipeline"),
        (b'{"error":{"code":"E42","message":"too wide"}}', "E42: too wide"),
        (b'{"error":{"reason":"x"}}', '{"reason":"x"}'),
        (b'{"message":"no"}', "no"),
        (b'{"status":"error"}', '{"status":"error"}'),
        (b"<html>\n  <h1>Maintenance\n Mode</h1>", "<html> <h1>Maintenance Mode</h1>"),
        (b"", ""),
        (b"\xff\xfe", "\ufffd\ufffd"),
        (b'"plain"', "plain"),
    ],
)
def test_error_bodies_of_every_shape_become_one_line(body, text):
    assert last9.error_text(body) == text


def test_a_long_error_is_cut():
    assert len(last9.error_text(b"x" * 10_000)) < 250

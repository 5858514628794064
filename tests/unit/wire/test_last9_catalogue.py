"""Series, label values, tags and change events, as documents."""

import pytest

from tfy_last9.wire import last9_catalogue as wire
from tfy_last9.wire.last9 import UnreadableAnswer


def test_series_are_the_names_that_occur():
    body = b'{"status":"success","data":[{"gen_ai.system":"openai","resource_team":"a"},{"b":1}]}'
    assert wire.read_series(body) == ("b", "gen_ai.system", "resource_team")


def test_values_are_sorted_texts():
    body = b'{"status":"success","data":["openai",null,200,"anthropic"]}'
    assert wire.read_values(body) == ("200", "anthropic", "openai")


def test_tags_come_by_scope_and_without_an_envelope():
    body = b'{"scopes":[{"name":"span","tags":["b","a"]},{"name":"resource","tags":null}]}'
    assert wire.read_tags(body) == {"span": ("a", "b"), "resource": ()}
    assert wire.read_tags(b"{}") == {}


@pytest.mark.parametrize("read", [wire.read_series, wire.read_values])
def test_null_is_nothing_and_a_failure_is_no_empty_list(read):
    assert read(b'{"status":"success","data":null}') == ()
    for body in (
        b'{"status":"error","error":"x"}',
        b"{}",
        b"[]",
        b"<html>",
        b'{"status":"success","data":"x"}',
    ):
        with pytest.raises(UnreadableAnswer):
            read(body)


def test_a_change_event_has_milliseconds_and_a_zone():
    made = wire.change_event("load_test", "start", 1795420800_123456789, {"run_id": "r"})
    assert made == {
        "event_name": "load_test",
        "event_state": "start",
        "timestamp": "2026-11-23T08:00:00.123Z",
        "attributes": {"run_id": "r"},
    }


def test_a_change_event_starts_or_stops():
    with pytest.raises(ValueError, match="starts or stops"):
        wire.change_event("x", "begin", 0, {})


def test_a_heat_map_needs_its_resolution():
    assert wire.heatmap_parameters("r", 1, 2, 60, 20) == {
        "region": "r",
        "start": "1",
        "end": "2",
        "time_resolution_sec": "60",
        "buckets": "20",
    }

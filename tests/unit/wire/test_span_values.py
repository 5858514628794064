"""Single values of spans: every documented form is read, every doubtful one refused."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfy_last9.model.trace import SpanStatus
from tfy_last9.wire import span_values
from tfy_last9.wire.span_values import UnreadableValue

SEVEN = 1795417200 * 10**9
"""2026-11-23T07:00:00Z."""


@pytest.mark.parametrize(
    ("text", "extra_ns"),
    [
        ("2026-11-23T07:00:00Z", 0),
        ("2026-11-23T07:00:00.123456789Z", 123456789),
        ("2026-11-23T07:00:00.5Z", 500_000_000),
        ("2026-11-23T07:00:00", 0),
        ("2026-11-23T07:00:00.000001", 1000),
        ("2026-11-23 07:00:00", 0),
        ("2026-11-23 07:00:00.123", 123_000_000),
        ("2026-11-23 07:00:00Z", 0),
        ("2026-11-23 07:00:00 UTC", 0),
        ("2026-11-23 07:00:00.1 +0000 UTC", 100_000_000),
        ("2026-11-23T12:30:00+05:30", 0),
        ("2026-11-23T02:00:00.25-0500", 250_000_000),
        ("2026-11-23t07:00:00z", 0),
        ("2026-11-23T07:00:00.1234567891Z", 123456789),
    ],
)
def test_every_form_of_timestamp_is_read_to_the_nanosecond(text, extra_ns):
    assert span_values.instant_ns(text) == SEVEN + extra_ns


@pytest.mark.parametrize(
    "value", [None, "", "yesterday", "2026-13-01T00:00:00Z", "2026-11-23", 1795417200, "1795417200"]
)
def test_a_doubtful_timestamp_is_refused(value):
    """A bare number could be seconds, milliseconds or nanoseconds."""
    with pytest.raises(UnreadableValue, match="Timestamp"):
        span_values.instant_ns(value)


@given(
    st.datetimes(datetime(1971, 1, 1), datetime(2100, 1, 1)),  # noqa: DTZ001 - naive means UTC here
    st.integers(0, 999_999_999),
)
def test_a_written_instant_is_read_back(moment, nanoseconds):
    moment = moment.replace(microsecond=0, tzinfo=UTC)
    text = f"{moment:%Y-%m-%dT%H:%M:%S}.{nanoseconds:09}Z"
    assert span_values.instant_ns(text) == int(moment.timestamp()) * 10**9 + nanoseconds


@pytest.mark.parametrize(
    ("value", "expected"),
    [(812345678, 812345678), ("812345678", 812345678), (0, 0), (5.0, 5), (-3, -3), ("-3", -3)],
)
def test_durations_are_whole_nanoseconds_however_written(value, expected):
    """Negative ones are kept: the judge makes an error of them, which dropping would hide."""
    assert span_values.duration_ns(value) == expected


@pytest.mark.parametrize(
    "value",
    [None, "", "fast", "12.5", 12.5, float("inf"), float("nan"), True, 2**63, "9" * 30, "9" * 5000],
)
def test_a_doubtful_duration_is_refused(value):
    with pytest.raises(UnreadableValue, match="Duration"):
        span_values.duration_ns(value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("STATUS_CODE_ERROR", SpanStatus.ERROR),
        ("status_code_error", SpanStatus.ERROR),
        ("Error", SpanStatus.ERROR),
        ("ERROR", SpanStatus.ERROR),
        (2, SpanStatus.ERROR),
        ("STATUS_CODE_OK", SpanStatus.OK),
        ("Ok", SpanStatus.OK),
        ("STATUS_CODE_UNSET", SpanStatus.UNSET),
        ("Unset", SpanStatus.UNSET),
        ("", SpanStatus.UNSET),
        (None, SpanStatus.UNSET),
    ],
)
def test_status_is_read_in_every_form(value, expected):
    assert span_values.status(value) is expected


@pytest.mark.parametrize("value", ["FAILED", 7, "err", ["ERROR"]])
def test_an_unknown_status_is_not_taken_for_fine(value):
    with pytest.raises(UnreadableValue, match="StatusCode"):
        span_values.status(value)


def test_ids_are_folded_to_lower_case():
    assert span_values.trace_id("4BF92F3577B34DA6A3CE929D0E0E4736").startswith("4bf92f")
    assert span_values.span_id("00F067AA0BA902B7") == "00f067aa0ba902b7"


@pytest.mark.parametrize("value", [None, "", "xyz", "0" * 32, "4bf9", 7, "g" * 32])
def test_a_span_without_a_proper_trace_id_is_refused(value):
    with pytest.raises(UnreadableValue, match="TraceId"):
        span_values.trace_id(value)


@pytest.mark.parametrize("value", [None, "", " ", "0000000000000000"])
def test_every_way_to_have_no_parent_is_none(value):
    assert span_values.parent_span_id(value) is None


def test_a_garbled_parent_is_refused_and_not_taken_for_none():
    """Otherwise a child would pass for the root."""
    with pytest.raises(UnreadableValue, match="ParentSpanId"):
        span_values.parent_span_id("not-an-id")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("SPAN_KIND_CLIENT", "client"),
        ("Server", "server"),
        ("", "unspecified"),
        (None, "unspecified"),
    ],
)
def test_kinds_are_short_and_lower_case(value, expected):
    assert span_values.kind(value) == expected


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("tfy.model.metric.input_tokens", "812", 812),
        ("tfy.model.metric.cost_in_usd", "0.000218", 0.000218),
        ("tfy.model.metric.latency_in_ms", 12.5, 12.5),
        ("gen_ai.usage.output_tokens", "7", 7),
        ("http.response.status_code", "503", 503),
        ("tfy.model.metric.latency_in_ms", "NaN", "NaN"),
        ("tfy.model.metric.latency_in_ms", "inf", "inf"),
        ("tfy.model.metric.latency_in_ms", "fast", "fast"),
        ("tfy.model.name", "42", "42"),
        ("tfy.model.streaming", "true", True),
        ("tfy.model.streaming", "False", False),
        ("tfy.model.streaming", "perhaps", "perhaps"),
    ],
)
def test_numbers_and_booleans_that_came_as_text_become_such(key, value, expected):
    found = span_values.typed(key, value)
    assert found == expected
    assert type(found) is type(expected)

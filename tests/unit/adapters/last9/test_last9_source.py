"""Spans by time, run and trace: complete, or it is said where not."""

import itertools

import httpx
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from last9_double import EPOCH_S, SERVICE, FakeClock, Last9Double, connected, span_row

from tfy_last9.adapters.last9.paging import slices
from tfy_last9.errors import BackendUnavailable, HarnessError
from tfy_last9.model.run import Window
from tfy_last9.model.trace import Role


def window(start_s, end_s):
    return Window(int((EPOCH_S + start_s) * 1e9), int((EPOCH_S + end_s) * 1e9))


def spread(count, seconds, start_s=0.0):
    return [span_row(n + 1, start_s + n * seconds / count) for n in range(count)]


@given(st.integers(0, 10**14), st.integers(1, 10**14), st.integers(1, 5000))
def test_slices_cover_a_window_exactly_once(start_ns, length_ns, widest_s):
    whole = Window(start_ns, start_ns + length_ns)
    widest_s = max(widest_s, length_ns // 10**9 // 500)
    parts = list(slices(whole, max(1, widest_s)))
    assert parts[0].start_s * 10**9 <= start_ns < (parts[0].start_s + 1) * 10**9
    assert (parts[-1].end_s - 1) * 10**9 < whole.end_ns <= parts[-1].end_s * 10**9
    for left, right in itertools.pairwise(parts):
        assert left.end_s == right.start_s
    assert all(0 < part.seconds <= max(1, widest_s) for part in parts)


def test_an_empty_window_needs_no_query():
    double = Last9Double()
    _, source = connected(double, region="r")
    assert source.spans(window(5, 5)).spans == ()
    assert double.queries == []


def test_a_small_window_is_one_query_padded_by_a_second():
    double = Last9Double(rows=spread(3, 10))
    clock = FakeClock(EPOCH_S + 60)
    _, source = connected(double, clock, region="r")
    page = source.spans(window(0.25, 10.5))
    (query,) = double.queries
    assert (query.url.params["start"], query.url.params["end"]) == (
        str(EPOCH_S - 1),
        str(EPOCH_S + 12),
    )
    assert page.asked_ns == clock.now
    assert page.window == window(0.25, 10.5)
    assert (page.roots_only, page.truncated, page.problems) == (False, (), ())


def test_only_spans_that_started_in_the_window_are_shown():
    double = Last9Double(rows=[span_row(1, 0.9), span_row(2, 1.0), span_row(3, 2.0)])
    _, source = connected(double, region="r")
    assert [int(span.span_id, 16) for span in source.spans(window(1, 2)).spans] == [2]


@pytest.mark.parametrize("boundaries", ["half-open", "inclusive", "exclusive"])
@pytest.mark.parametrize("limit", [40, 60, 1000])
def test_every_span_is_found_once_whatever_a_full_page_hides(boundaries, limit):
    """Spans sit on whole seconds too, where the meaning of start and end is not documented."""
    double = Last9Double(rows=spread(600, 60), boundaries=boundaries)
    _, source = connected(double, region="r", page_limit=limit)
    page = source.spans(window(0, 60))
    assert [int(span.span_id, 16) for span in page.spans] == list(range(1, 601))
    assert page.truncated == ()


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.integers(0, 90_000), max_size=150, unique=True),
    st.integers(5, 200),
    st.sampled_from(["half-open", "inclusive", "exclusive"]),
)
def test_what_a_page_lacks_is_in_its_truncated_slices(starts_ms, limit, boundaries):
    rows = [span_row(n + 1, start / 1000) for n, start in enumerate(starts_ms)]
    double = Last9Double(rows=rows, boundaries=boundaries)
    _, source = connected(double, region="r", page_limit=limit)
    page = source.spans(window(0, 91))
    found = {span.span_id for span in page.spans}
    for row in rows:
        at_ns = round(row["_at_s"] * 1000) * 10**6
        hidden = any(part.start_ns <= at_ns < part.end_ns for part in page.truncated)
        assert row["SpanId"] in found or hidden


def test_a_second_that_fills_a_page_is_reported():
    burst = [span_row(n + 1, 5 + n / 1000) for n in range(100)]
    double = Last9Double(rows=[*burst, *spread(20, 4, start_s=20)])
    _, source = connected(double, region="r", page_limit=50)
    truncated = source.spans(window(0, 60)).truncated
    assert window(5, 6) in truncated
    assert all(part.start_ns >= window(4, 5).start_ns for part in truncated)
    assert all(part.end_ns <= window(6, 7).end_ns for part in truncated)


@pytest.mark.parametrize("cap", [100, 150])
def test_a_cap_below_the_limit_is_noticed_though_nothing_says_so(cap):
    """The server answers so many rows to a limit of 5000: not full by its word, but cut."""
    double = Last9Double(rows=spread(4 * cap, 60), cap=cap)
    _, source = connected(double, region="r")
    page = source.spans(window(0, 60))
    assert len(page.spans) == 4 * cap
    assert page.truncated == ()


def test_a_cap_is_noticed_when_all_spans_are_in_one_half():
    double = Last9Double(rows=spread(600, 20, start_s=35), cap=150)
    _, source = connected(double, region="r")
    assert len(source.spans(window(0, 60)).spans) == 600


def test_a_second_beyond_the_cap_is_reported_once_the_cap_is_known():
    burst = [span_row(n + 1, 5 + n / 1000) for n in range(400)]
    more = [span_row(n + 1000, 20 + n / 10) for n in range(300)]
    double = Last9Double(rows=[*burst, *more], cap=150)
    _, source = connected(double, region="r")
    source.spans(window(15, 60))
    page = source.spans(window(0, 60))
    assert window(5, 6) in page.truncated


def test_an_answer_larger_than_any_before_is_proven_once():
    double = Last9Double(rows=spread(600, 60))
    _, source = connected(double, region="r")
    source.spans(window(0, 60))
    assert len(double.queries) == 3
    source.spans(window(0, 60))
    assert len(double.queries) == 4


def test_spans_that_arrive_between_two_looks_are_no_cap():
    double = Last9Double(rows=spread(200, 20))
    _, source = connected(double, region="r")

    def arriving(request):
        if len(double.queries) == 1:
            double.rows += spread(3, 20)
            double.rows[-1]["SpanId"] = "f" * 16
        return double(request)

    _, source = connected(arriving, region="r")
    assert len(source.spans(window(0, 20)).spans) == 201
    assert source._cap.cap is None


def test_a_query_that_is_too_heavy_is_asked_in_halves():
    double = Last9Double(rows=spread(10, 100))

    def heavy(request):
        if "query_range" in request.url.path:
            start, end = (int(request.url.params[key]) for key in ("start", "end"))
            if end - start > 60:
                return httpx.Response(408, json={"error": "too heavy"})
        return double(request)

    _, source = connected(heavy, region="r")
    assert len(source.spans(window(0, 100)).spans) == 10


def test_a_second_that_is_too_heavy_is_an_error():
    def heavy(request):
        if "query_range" in request.url.path:
            return httpx.Response(408, json={"error": "too heavy"})
        return Last9Double()(request)

    _, source = connected(heavy, region="r")
    with pytest.raises(BackendUnavailable, match="408"):
        source.spans(window(0, 4))


def test_a_span_stored_twice_is_shown_once():
    double = Last9Double(rows=[span_row(1, 1), span_row(1, 1), span_row(2, 2)])
    _, source = connected(double, region="r")
    assert len(source.spans(window(0, 5)).spans) == 2


def test_rows_that_cannot_be_read_are_in_the_page_and_counted():
    double = Last9Double(rows=[span_row(1, 1), span_row(2, 2, Duration="fast")])
    _, source = connected(double, region="r")
    page = source.spans(window(0, 5))
    assert len(page.spans) == 1
    assert len(page.problems) == 1
    assert source.counters.unreadable == 1


def test_the_cost_of_reading_is_counted():
    double = Last9Double(rows=spread(3, 3))
    _, source = connected(double, region="r")
    source.spans(window(0, 5))
    source.trace("f" * 32, window(0, 5))
    assert source.counters.queries == 2
    assert source.counters.rows == 3
    assert source.counters.bytes > 1000


def with_metadata(n, at_s, attributes, **changes):
    attributes = {"tfy.span_type": "ChatCompletion", **attributes}
    return span_row(n, at_s, SpanAttributes=attributes, **changes)


def test_roots_of_a_run_are_found_in_every_encoding_and_no_others():
    """The stand-in for the filter here matches everything, as Last9 does with unknown operators."""
    key = "tfy.request.metadata"
    double = Last9Double(
        rows=[
            with_metadata(1, 1, {key: orjson.dumps({"run_id": "r-4"}).decode()}),
            with_metadata(2, 2, {key: {"run_id": "r-4"}}),
            with_metadata(3, 3, {f"{key}.run_id": "r-4"}),
            with_metadata(4, 4, {key: {"run_id": "r-42"}}),
            with_metadata(5, 5, {}),
            with_metadata(6, 6, {key: {"run_id": "r-4"}, "tfy.span_type": "Model"}),
        ]
    )
    _, source = connected(double, region="r")
    page = source.roots("r-4", window(0, 10))
    assert [int(span.span_id, 16) for span in page.spans] == [1, 2, 3]
    assert page.roots_only
    assert b"r-4" in double.queries[0].content


def test_spans_of_a_trace_know_their_root():
    double = Last9Double(
        rows=[
            span_row(1, 1, SpanAttributes={"tfy.span_type": "AgentResponse"}),
            span_row(2, 2, TraceId=f"{1:032x}", ParentSpanId=f"{1:016x}"),
        ]
    )
    _, source = connected(double, region="r")
    assert [span.role for span in source.spans(window(0, 5)).spans] == [Role.ROOT, Role.OTHER]


def test_one_trace_is_asked_for_by_id():
    double = Last9Double(rows=[span_row(7, 1), span_row(8, 2)])
    _, source = connected(double, region="r")
    (span,) = source.trace(f"{7:032x}", window(0, 5))
    assert span.trace_id == f"{7:032x}"
    request = double.requests[-1]
    assert request.method == "GET"
    assert request.url.path == f"/api/v4/organizations/acme/cat/api/traces/{7:032x}"
    assert dict(request.url.params) == {
        "region": "r",
        "start": str(EPOCH_S - 1),
        "end": str(EPOCH_S + 6),
        "limit": "5000",
    }


def test_an_unknown_trace_is_empty_and_no_error():
    _, source = connected(Last9Double(), region="r")
    assert source.trace("a" * 32, window(0, 5)) == ()


def test_spans_of_other_services_in_a_trace_are_left_out():
    """A caller's span without a parent would otherwise pass for the gateway's root."""
    caller = span_row(9, 1, TraceId=f"{7:032x}", ServiceName="caller", SpanAttributes={})
    double = Last9Double(rows=[span_row(7, 2), caller])
    _, source = connected(double, region="r")
    assert [span.service for span in source.trace(f"{7:032x}", window(0, 5))] == [SERVICE]


def test_a_trace_that_cannot_be_read_whole_is_an_error():
    double = Last9Double(rows=[span_row(7, 2, StatusCode="FINE")])
    _, source = connected(double, region="r")
    with pytest.raises(HarnessError, match="StatusCode"):
        source.trace(f"{7:032x}", window(0, 5))
    double.rows = [span_row(7, 2)]
    _, source = connected(double, region="r", page_limit=1)
    with pytest.raises(HarnessError, match="cut"):
        source.trace(f"{7:032x}", window(0, 5))


@pytest.mark.parametrize("trace_id", ["", "../x", "A" * 32, "a" * 31])
def test_only_trace_ids_get_into_an_address(trace_id):
    _, source = connected(Last9Double(), region="r")
    with pytest.raises(ValueError, match="trace id"):
        source.trace(trace_id, window(0, 5))


def test_a_full_second_is_asked_for_without_the_overlap_that_filled_it():
    """40 spans a second, answers of 60: two seconds do not fit, one does."""
    rows = spread(400, 10)
    for n, row in enumerate(rows):
        row["Timestamp"] = row["Timestamp"].replace("Z", f"{n % 9 + 1:06}Z")
    _, source = connected(Last9Double(rows=rows, boundaries="inclusive"), region="r", page_limit=60)
    page = source.spans(window(0, 10))
    assert len(page.spans) == 400
    assert page.truncated == ()


def test_coarse_instants_leave_a_full_second_in_doubt():
    """A span at the very second may be missed where `start` is exclusive."""
    rows = spread(400, 10)
    _, source = connected(Last9Double(rows=rows, boundaries="inclusive"), region="r", page_limit=60)
    assert source.spans(window(0, 10)).truncated != ()

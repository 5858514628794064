"""Whose spans are fetched: whole windows where the run is most of the traffic, else its traces by id."""

import re

import httpx
import orjson
from last9_double import EPOCH_S, Last9Double, connected, enveloped, span_row

from tfy_last9.adapters.last9.survey import Reach
from tfy_last9.model.run import Window
from tfy_last9.ports import Outstanding

WINDOW = Window(EPOCH_S * 10**9, (EPOCH_S + 600) * 10**9)
RUN = "r-42"


def foreign(n, at_s):
    row = span_row(n, at_s)
    row["SpanAttributes"] = {"tfy.span_type": "ChatCompletion", "tfy.request.metadata": "{}"}
    return row


class Counting(Last9Double):
    """Also counts, and knows the filters on run id and trace ids."""

    def __call__(self, request):
        text = request.content.decode()
        if "query_range" not in request.url.path:
            return super().__call__(request)
        rows = self.rows
        if RUN in text:
            rows = [row for row in rows if RUN in row["SpanAttributes"]["tfy.request.metadata"]]
        ids = set(re.findall(r'"TraceId","([0-9a-f]{32})"', text))
        if ids:
            rows = [row for row in rows if row["TraceId"] in ids]
        if '"aggregate"' in text:
            self.requests.append(request)
            row = {"metric": {"n": len(rows)}, "values": []}
            return httpx.Response(200, json=enveloped([row]))
        part = Last9Double(rows=rows, cap=self.cap, requests=self.requests)
        return part(request)


def shared_tenant(own=30, others=970):
    rows = [span_row(n + 1, n) for n in range(own)]
    return rows + [foreign(10_000 + n, n * 500 / others) for n in range(others)]


def fetched(source, trace_ids=()):
    return {span.trace_id for page in source.run(RUN, WINDOW, trace_ids) for span in page.spans}


def test_where_others_send_most_only_the_run_is_fetched():
    double = Counting(rows=shared_tenant())
    _, source = connected(double, region="r", page_limit=200)
    assert fetched(source) == {f"{n + 1:032x}" for n in range(30)}
    assert source.surveyed(RUN, WINDOW, 0).reach is Reach.TRACES
    assert source.counters.rows < 200


def test_traces_that_only_the_ledger_names_are_asked_for_too():
    """Their root may have lost its metadata."""
    double = Counting(rows=shared_tenant())
    _, source = connected(double, region="r", page_limit=200)
    assert f"{10_000:032x}" in fetched(source, [f"{10_000:032x}"])


def test_where_the_run_is_alone_windows_are_read_whole():
    double = Counting(rows=[span_row(n + 1, n) for n in range(500)])
    _, source = connected(double, region="r", page_limit=200)
    ids = [f"{n + 1:032x}" for n in range(500)]
    assert fetched(source, ids) == set(ids)
    survey = source.surveyed(RUN, WINDOW, 500)
    assert (survey.reach, survey.rows, survey.is_exclusive) == (Reach.WINDOW, 500, True)


def test_other_requests_at_the_gateway_are_noticed():
    _, source = connected(Counting(rows=shared_tenant()), region="r", page_limit=200)
    assert not source.surveyed(RUN, WINDOW, 30).is_exclusive


def test_counts_that_cannot_be_read_mean_whole_windows():
    """The double shows spans where counts were asked for."""
    _, source = connected(Last9Double(rows=shared_tenant()), region="r", page_limit=200)
    assert len(fetched(source)) == 1000
    assert not source.surveyed(RUN, WINDOW, 30).is_exclusive


def test_a_batch_of_traces_that_fills_the_answer_is_asked_for_in_halves():
    double = Counting(rows=shared_tenant(own=150))
    _, source = connected(double, region="r", page_limit=40)
    ids = [f"{n + 1:032x}" for n in range(150)]
    pages = list(source.traces(ids, WINDOW))
    assert {span.trace_id for page in pages for span in page.spans} == set(ids)
    assert all(not page.truncated for page in pages)
    assert all(page.window.start_ns == page.window.end_ns for page in pages)


def test_outstanding_traces_of_a_shared_gateway_are_asked_for_by_id():
    double = Counting(rows=shared_tenant())
    _, source = connected(double, region="r", page_limit=200)
    fetched(source)
    before = source.counters.rows
    wanted = (f"{10_005:032x}",)
    left = Outstanding(31, 30, (WINDOW,), wanted)
    found = {s.trace_id for page in source.again(RUN, WINDOW, left) for s in page.spans}
    assert wanted[0] in found
    assert source.counters.rows - before < 100


def test_parallel_answers_give_the_same_spans_as_one_at_a_time():
    rows = [span_row(n + 1, n / 20) for n in range(3000)]
    found = []
    for parallel in (1, 4):
        _, source = connected(Last9Double(rows=rows), region="r", page_limit=150, parallel=parallel)
        found.append([span.span_id for span in source.spans(WINDOW).spans])
    assert found[0] == found[1]
    assert len(found[0]) == 3000


def test_pages_cover_the_window_exactly_and_hold_one_slice_each():
    rows = [span_row(n + 1, n / 10) for n in range(3000)]
    _, source = connected(Last9Double(rows=rows), region="r", page_limit=150)
    pages = sorted(source.run(RUN, WINDOW, ()), key=lambda page: page.window.start_ns)
    ends = [page.window.end_ns for page in pages if page.window.start_ns < page.window.end_ns]
    assert pages[0].window.start_ns == WINDOW.start_ns
    assert max(ends) == WINDOW.end_ns
    assert max(len(page.spans) for page in pages) <= 150
    assert {s.span_id for page in pages for s in page.spans} == {row["SpanId"] for row in rows}


def test_the_body_of_every_query_is_json_with_a_pipeline():
    double = Counting(rows=shared_tenant())
    _, source = connected(double, region="r", page_limit=200)
    fetched(source)
    assert all(list(orjson.loads(query.content)) == ["pipeline"] for query in double.queries)

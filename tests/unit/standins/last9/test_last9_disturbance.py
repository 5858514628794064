"""Faults of the Last9 stand-in: each does what it says, in numbers that the journal confirms."""

import collections

import httpx
import pytest
from last9_sandbox import API_KEY, T0_S, make_export, make_span

from tfy_last9.standins.last9.settings import RetryAfter, Settings

KEY = {"Authorization": f"Bearer {API_KEY}"}


class Clock:
    def __init__(self):
        self.now_s = float(T0_S)

    def __call__(self):
        return self.now_s


def statuses(last9, calls):
    headers = last9.access()
    return collections.Counter(last9.query(headers=headers).status_code for _ in range(calls))


def test_last9_429_strikes_its_share_and_says_when_to_come_back(start):
    last9 = start(faults=["last9_429=0.25"])
    headers = last9.access()
    answers = [last9.query(headers=headers) for _ in range(20)]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert len(refused) == 5
    assert all(answer.headers["retry-after"] == "1" for answer in refused)
    assert len(last9.journal("disturbed")) == 5


@pytest.mark.parametrize(
    ("setting", "form"),
    [(RetryAfter.SECONDS, "1"), (RetryAfter.ABSENT, None), (RetryAfter.DATE, "GMT")],
)
def test_the_form_of_retry_after_is_a_switch(start, setting, form):
    last9 = start(Settings(retry_after=setting), faults=["last9_429=1"])
    seen = last9.query().headers.get("retry-after")
    assert seen is None if form is None else seen.endswith(form)


def test_last9_5xx_answers_json_and_html_in_turn(start):
    last9 = start(faults=["last9_5xx=1"])
    headers = last9.access()
    answers = [last9.query(headers=headers) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [503, 502, 500, 504]
    assert answers[1].headers["content-type"].startswith("text/html")


def test_the_token_exchange_is_disturbed_too(start):
    last9 = start(faults=["last9_429=1"])
    body = {"refresh_token": last9.tokens.refresh_token()}
    assert last9.client.post("/api/v4/oauth/access_token", json=body).status_code == 429


def test_last9_slow_delays_the_answer(start):
    last9 = start(faults=["last9_slow=300ms"])
    with pytest.raises(httpx.ReadTimeout):
        last9.client.get(f"{last9.base}/datasources", headers=last9.access(), timeout=0.1)
    assert last9.query().status_code == 200


def test_last9_page_cap_cuts_answers_with_no_flag(start):
    last9 = start(faults=["last9_page_cap=2"])
    trace = b"\xab" * 16
    last9.ingest(*(make_span(n, trace_id=trace) for n in range(1, 6)))
    body = last9.query(limit=4).json()
    assert len(body["data"]["result"]) == 2
    assert body.keys() == {"status", "data"}
    path = f"{last9.base}/cat/api/traces/{trace.hex()}"
    one = last9.client.get(path, params={"region": "ap-south-1"}, headers=last9.access())
    assert len(one.json()["traces"]) == 2


def test_token_expiry_ends_tokens_earlier_than_they_promise(start):
    clock = Clock()
    last9 = start(clock=clock, faults=["token_expiry=10s"])
    headers = last9.access()
    clock.now_s += 9.9
    assert last9.query(headers=headers).status_code == 200
    clock.now_s += 0.2
    response = last9.query(headers=headers)
    assert response.status_code == 401
    assert response.json() == {"error": "Authorization token is expired"}
    assert last9.query(headers=last9.access()).status_code == 200


def test_span_loss_accepts_spans_and_stores_the_others(start):
    last9 = start(faults=["span_loss=0.1"])
    spans = [make_span(n) for n in range(1, 41)]
    assert last9.export(make_export(*spans)).status_code == 200
    last9.wait_for(36)
    lost = [span_id for line in last9.journal("spans_lost") for span_id in line["span_ids"]]
    seen = {span["SpanId"] for span in last9.result()}
    assert len(lost) == 4
    assert seen == {span.span_id.hex() for span in spans} - set(lost)


def test_duplicate_spans_are_stored_twice(start):
    last9 = start(faults=["duplicate_spans=0.1"])
    last9.export(make_export(*(make_span(n) for n in range(1, 41))))
    last9.wait_for(44)
    counts = collections.Counter(span["SpanId"] for span in last9.result())
    twice = {span_id for span_id, count in counts.items() if count == 2}
    (line,) = last9.journal("spans_duplicated")
    assert twice == set(line["span_ids"])
    assert len(counts) == 40


def test_otlp_reject_refuses_for_good_and_names_the_traces(start):
    last9 = start(faults=["otlp_reject=0.5"])
    answers = [last9.export(make_export(make_span(n))).status_code for n in range(1, 21)]
    assert collections.Counter(answers) == {200: 10, 400: 10}
    refused = {trace for line in last9.journal("export_rejected") for trace in line["trace_ids"]}
    expected = {f"{n:032x}" for n, status in enumerate(answers, 1) if status == 400}
    assert refused == expected


def test_faults_are_changed_while_it_runs_with_the_key(start):
    last9 = start(faults=["last9_5xx=1"])
    assert last9.client.get("/sandbox/faults").status_code == 401
    assert last9.client.get("/sandbox/faults", headers=KEY).json() == ["last9_5xx=1"]
    refused = last9.client.put("/sandbox/faults", json=["last9_5x=1"], headers=KEY)
    assert refused.status_code == 400
    assert "did you mean 'last9_5xx'" in refused.json()["error"]
    changed = last9.client.put(
        "/sandbox/faults", json=["trace_loss=0.1", "last9_page_cap=3"], headers=KEY
    )
    assert changed.json() == ["last9_page_cap=3"]
    assert last9.query().status_code == 200


def test_the_rate_limit_is_a_bucket_of_one_second(start):
    clock = Clock()
    last9 = start(Settings(rate_limit_per_s=3), clock=clock)
    assert statuses(last9, 5) == {200: 3, 429: 2}
    clock.now_s += 1
    assert statuses(last9, 4) == {200: 3, 429: 1}

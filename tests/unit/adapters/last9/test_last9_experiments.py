"""What `doctor --record` keeps of an answer: its shape, and no text."""

import os
from pathlib import Path

import httpx
import orjson
import pytest
from last9_double import EPOCH_S, Last9Double, connected, enveloped, span_row

from tfy_last9.adapters.last9.experiments import Experiments
from tfy_last9.adapters.last9.observation import redacted
from tfy_last9.model.run import Window

GOLDEN = Path(__file__).parents[3] / "golden" / "last9-doctor.json"
WINDOW = Window(EPOCH_S * 10**9, (EPOCH_S + 600) * 10**9)


def test_texts_become_their_length_numbers_and_statuses_stay():
    answer = {
        "status": "success",
        "data": [
            {"StatusCode": "STATUS_CODE_OK", "Duration": 5, "n": "12.5", "who": "alice", "e": ""}
        ],
    }
    assert redacted(answer) == {
        "status": "success",
        "data": [
            {
                "StatusCode": "STATUS_CODE_OK",
                "Duration": 5,
                "n": "12.5",
                "who": "<text of 5>",
                "e": "",
            }
        ],
    }


def test_a_sample_holds_few_rows():
    assert len(redacted(list(range(100)))) == 3


def observed(double):
    client, _ = connected(double, region="r")
    found = Experiments(client, "tfy-llm-gateway", WINDOW).run()
    return {one.switch: one for one in found}


def test_every_question_has_an_answer_and_no_sample_a_prompt():
    rows = [span_row(n + 1, n) for n in range(5)]
    for row in rows:
        row["SpanAttributes"] = {**row["SpanAttributes"], "tfy.input": "the secret plan"}
    found = observed(Last9Double(rows=rows))
    assert found["select"].value == "ignore"
    assert found["timestamps"].value == "rfc3339"
    assert len(found) == 18
    samples = orjson.dumps([one.sample for one in found.values()]).decode()
    assert "secret plan" not in samples
    assert "r-42" not in samples


def test_one_question_that_fails_does_not_end_the_others():
    calls = []

    def moody(request):
        if "query_range" in request.url.path:
            calls.append(request)
            if len(calls) == 1:
                return httpx.Response(403, json={"error": "no"})
        return Last9Double(rows=[span_row(1, 1)])(request)

    client, _ = connected(moody, region="r")
    found = Experiments(client, "tfy-llm-gateway", WINDOW).run()
    assert len(found) == 18
    assert any(one.value is not None for one in found[1:])


def answering(spans_answer):
    """Answer span queries by their parameters, counts with 50, traces with two spans."""

    def answer(request):
        if request.url.path.endswith("access_token"):
            return Last9Double()(request)
        params, text = request.url.params, request.content.decode()
        if "/traces/v2/" not in request.url.path:
            events = [{"Name": "first token", "Timestamp": "2026-11-23T07:00:00Z"}]
            return httpx.Response(200, json={"traces": [span_row(1, 0) | {"Events": events}]})
        if '"groupby"' in text:
            rows = [{"metric": {"t": name, "n": 1}} for name in "bca"]
            return httpx.Response(200, json=enveloped(rows))
        if '"aggregate"' in text:
            return httpx.Response(200, json=enveloped([{"metric": {"n": 50}}]))
        return httpx.Response(200, json=enveloped(spans_answer(params)))

    return answer


def test_defaults_are_told_by_leaving_them_out():
    rows = [span_row(n + 1, n, ParentSpanId="" if n % 2 else "ab" * 8) for n in range(50)]

    def spans(params):
        found = rows if "order" not in params else rows[::-1]
        if "mode" not in params:
            found = [row for row in found if not row["ParentSpanId"]]
        return found[: min(30, int(params.get("limit", 5)))]

    found = observed(answering(spans))
    told = ("default-order", "default-mode", "max-limit", "group-order", "event-keys")
    assert [found[name].value for name in told] == [
        "oldest",
        "trace",
        "30",
        "shuffled",
        "clickhouse",
    ]


def test_what_doctor_asks_goes_out_as_the_golden_file_says():
    double = Last9Double(rows=[span_row(1, 1)])
    observed(double)
    asked = [
        {"path": request.url.path.rpartition("/acme/")[2]}
        | {key: value for key, value in request.url.params.items() if key not in {"start", "end"}}
        | {"body": orjson.loads(request.content) if request.content else None}
        for request in double.requests
        if "/acme/" in request.url.path
    ]
    document = orjson.dumps(asked, option=orjson.OPT_INDENT_2) + b"\n"
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.write_bytes(document)
        pytest.fail(f"rewrote {GOLDEN.name}: read the difference, then run without UPDATE_GOLDEN")
    assert document.decode() == GOLDEN.read_text()


def test_what_was_not_shown_is_not_claimed():
    found = observed(answering(lambda _params: []))
    told = ("default-order", "default-mode", "max-limit")
    assert [found[name].value for name in told] == [None, None, None]

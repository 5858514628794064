"""What `doctor --record` keeps of an answer: its shape, and no text."""

import httpx
import orjson
from last9_double import EPOCH_S, Last9Double, connected, span_row

from tfy_last9.adapters.last9.experiments import Experiments, redacted
from tfy_last9.model.run import Window

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
    assert len(found) == 13
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
    assert len(found) == 13
    assert any(one.value is not None for one in found[1:])

"""Prepared requests are byte for byte what building each one anew gives."""

from dataclasses import replace
from pathlib import Path

import gateway_double as double
import pytest

from tfy_last9.adapters.files.scenario import load_scenario
from tfy_last9.arrivals.schedule import Arrival, schedule
from tfy_last9.model.request import LedgerRow, Outcome
from tfy_last9.model.scenario import Cache
from tfy_last9.swarm.call import Answer
from tfy_last9.swarm.lines import ledger_line
from tfy_last9.swarm.prepared import PreparedRequests
from tfy_last9.swarm.record import Epoch, Recorder

DATA = Path(__file__).parents[3] / "data"
SHORT = load_scenario(DATA / "short.yaml")
CANARY = replace(load_scenario(DATA / "canary.yaml"), cache=Cache.AS_IS)


def recorder(scenario, run_id="run-1"):
    return Recorder(scenario, run_id, 0, Epoch(0, 0))


class Counting:
    """Counts how often a request was built from scratch."""

    def __init__(self, build):
        self._build = build
        self.times = 0

    def __call__(self, call):
        self.times += 1
        return self._build(call)


@pytest.mark.parametrize("scenario", [SHORT, CANARY], ids=["short", "canary"])
def test_every_request_of_a_schedule_has_its_own_bytes(scenario):
    calls = recorder(scenario)
    arrivals = list(schedule(scenario))[:200]
    with double.driver("http://localhost:1") as client:
        build = Counting(client._request)
        prepared = PreparedRequests(build)
        for arrival in arrivals:
            call = calls.call(arrival)
            slow = calls._call(arrival, calls.script(arrival).outgoing(), None)
            assert call.headers == slow.headers
            assert prepared.request(call) == client._request(slow)
    shapes = {arrival[2:6] for arrival in arrivals}
    assert build.times == 2 * len(shapes)  # the example, and one to compare with


def test_a_request_with_a_nonce_in_its_body_is_built_anew():
    calls = recorder(replace(SHORT, cache=Cache.COLD))
    first, second = (calls.call(Arrival(seq, 0, "steady", 0, 0)) for seq in (0, 1))
    assert first.shape is None
    assert first.outgoing.body != second.outgoing.body


def test_a_run_id_so_long_that_labels_are_cut_is_built_anew():
    call = recorder(SHORT, "r" * 120).call(Arrival(7, 0, "steady", 0, 0))
    assert call.shape is None
    assert "r" * 120 + ".7" in call.headers["x-tfy-metadata"]


def test_a_prompt_that_quotes_an_id_is_left_alone():
    """Only the example is cut at its ids, and the example's occur nowhere else."""
    prompt = double.Prompt((double.Message("user", "what became of run-1.5 ?"),))
    calls = recorder(replace(SHORT, prompts=(prompt,)))
    with double.driver("http://localhost:1") as client:
        for seq in (5, 6):
            request = client._prepared.request(calls.call(Arrival(seq, 0, "steady", 0, 0)))
            assert b"what became of run-1.5 ?" in request
            assert f'"request_id": "run-1.{seq}"'.encode() in request


def test_a_line_is_the_row_it_was_made_from():
    import json

    calls = recorder(SHORT)
    call = calls.call(Arrival(3, 5, "steady", 0, 0))
    answer = Answer(started_ns=6, outcome=Outcome.OK, finished_ns=9, bytes_in=7)
    answer.facts.cost_usd = 0.25
    for row in (
        calls.row(call, answer),
        calls.unsent(call.arrival, Outcome.MISSED, None),
        calls.row(call, answer)._replace(arm="canary", error_type='"x"', turn=2),
    ):
        read = json.loads(ledger_line(row))
        assert {name: read.get(name) for name in LedgerRow._fields} == row._asdict()


def test_the_row_of_an_answer_has_each_value_in_its_column():
    calls = recorder(SHORT)
    call = calls.call(Arrival(3, 5, "steady", 0, 0, None, 3))
    answer = Answer(started_ns=10, outcome=Outcome.OK, written=True, first_byte_ns=11)
    answer.finished_ns, answer.status, answer.connect_ns, answer.bytes_in = 20, 200, 2, 30
    facts = answer.facts
    facts.first_token_ns, facts.first_answer_ns, facts.last_token_ns = 12, 13, 14
    facts.chunks, facts.reasoning_chunks, facts.tool_chunks, facts.max_gap_ns = 9, 2, 1, 4
    facts.input_tokens, facts.output_tokens, facts.reasoning_tokens = 5, 6, 7
    facts.cached_tokens, facts.cost_usd, facts.finish_reason = 8, 0.5, "stop"
    facts.resolved_model, facts.tool_calls, facts.items = "m", 1, 3
    row = calls.row(call, answer)
    blank = calls.unsent(call.arrival, Outcome.OK, None)
    assert row == blank._replace(
        started_ns=10,
        written=True,
        first_byte_ns=11,
        first_token_ns=12,
        first_answer_ns=13,
        last_token_ns=14,
        finished_ns=20,
        clock="user",
        status=200,
        finish_reason="stop",
        input_tokens=5,
        output_tokens=6,
        reasoning_tokens=7,
        cached_tokens=8,
        cost_usd=0.5,
        chunks=9,
        max_gap_ns=4,
        bytes_in=30,
        resolved_model="m",
        connect_ns=2,
        tool_calls=1,
        items=3,
        reasoning_chunks=2,
        tool_chunks=1,
    )

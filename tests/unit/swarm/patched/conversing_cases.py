"""Conversations of several turns through a session: every planned turn leaves one row, sent or not."""

import time
from collections import Counter
from dataclasses import replace

import gevent
import orjson
from gateway_double import END, HEAD, TARGET, answer_to, chunk, event
from session_cases import SHORT, DriverDouble

from tfy_last9.arrivals.schedule import planned, schedule
from tfy_last9.model.conversation import FollowUp, McpCall, McpScript, Sessions
from tfy_last9.model.request import Outcome
from tfy_last9.model.scenario import Api, Message, Phase, Prompt
from tfy_last9.swarm.call import Answer
from tfy_last9.swarm.conversing import Conversation
from tfy_last9.swarm.record import Epoch, Recorder

TALK = Prompt((Message("user", "hi"),), (FollowUp(text="more"), FollowUp(text="and more")))
SCENARIO = replace(
    SHORT,
    phases=(Phase("steady", 0.2, 100.0, True),),
    prompts=(TALK,),
    sessions=Sessions(think_s=0.02, header="x-session"),
)


def arrivals_of(scenario):
    return [arrival for arrival in schedule(scenario) if arrival.turn == 0]


def conversation(scenario=SCENARIO, over=None):
    recorder = Recorder(scenario, "run", 0, Epoch.now())
    recorder.zero_ns = time.monotonic_ns()
    first = arrivals_of(scenario)[0]
    return recorder, Conversation(recorder, first, over or gevent.event.Event())


def send(call, driver=None):
    answer = Answer(started_ns=time.monotonic_ns(), facts=call.outgoing.facts())
    (driver or DriverDouble()).send(call, answer)
    return answer


def test_turns_follow_each_other_and_are_due_after_the_pause():
    recorder, talk = conversation()
    rows, ended_ns = [], None
    for call in talk:
        answer = send(call)
        if ended_ns is not None:
            assert call.due_ns == ended_ns + 20_000_000
            assert answer.started_ns >= call.due_ns
        ended_ns = answer.finished_ns
        rows.append(recorder.row(call, answer))
        assert call.headers["x-session"] == "run.s0"
        assert orjson.loads(call.headers["x-tfy-metadata"])["session_id"] == "run.s0"
        talk.take(answer)
    assert [(row.seq, row.turn, row.session_id) for row in rows] == [
        *((0, 1, "run.s0"), (1, 2, "run.s0"), (2, 3, "run.s0")),
    ]
    assert {row.arrival for row in rows} == {0}
    assert talk.rest() == []


def test_after_a_bad_answer_the_rest_is_not_sent_and_says_so():
    _, talk = conversation()
    for call in talk:
        talk.take(send(call, DriverDouble(status=401)))
    rest = talk.rest()
    assert [(row.seq, row.outcome, row.error_type) for row in rest] == [
        *((1, "aborted", "session_ended"), (2, "aborted", "session_ended")),
    ]
    assert {row.started_ns for row in rest} == {None}


def test_a_run_that_is_over_cuts_the_pause_short():
    over = gevent.event.Event()
    slow = replace(SCENARIO, sessions=Sessions(think_s=60))
    _, talk = conversation(slow, over)
    gevent.spawn_later(0.02, over.set)
    for call in talk:
        talk.take(send(call))
    assert [row.error_type for row in talk.rest()] == ["run_over", "run_over"]


def test_a_turn_with_nothing_to_say_leaves_a_row_and_the_next_one_goes_on():
    prompt = replace(TALK, follow_ups=(FollowUp(tool_results={"w": "x"}), FollowUp(text="more")))
    _, talk = conversation(replace(SCENARIO, prompts=(prompt,)))
    sent, ended_ns = [], []
    for call in talk:
        sent.append((call.arrival.turn, call.due_ns))
        answer = send(call)
        ended_ns.append(answer.finished_ns)
        talk.take(answer)
    # Both pauses lie between the two: what was not sent was waited for all the same.
    assert sent == [(0, None), (2, ended_ns[0] + 40_000_000)]
    assert [(row.seq, row.error_type) for row in talk.rest()] == [(1, "no_tool_call")]


def test_unsent_turns_of_an_mcp_session_say_what_they_would_have_asked():
    target = replace(SCENARIO.targets[0], api=Api.MCP, stream=False, mcp=McpScript((McpCall("w"),)))
    _, talk = conversation(replace(SCENARIO, targets=(target,)))
    for call in talk:
        talk.take(send(call, DriverDouble(status=401)))
    assert [(row.operation, row.tool) for row in talk.rest()] == [
        *(("notifications/initialized", None), ("tools/list", None), ("tools/call", "w")),
    ]


def test_pauses_are_seeded_and_bounded():
    scenario = replace(SCENARIO, sessions=Sessions(think_s=0.02, is_exponential=True))
    recorder, again = (Recorder(scenario, "run", 0, Epoch.now()) for _ in range(2))
    turns = [arrival.at_turn(1) for arrival in arrivals_of(scenario)]
    pauses = [recorder.pause_ns(turn) for turn in turns]
    assert pauses == [again.pause_ns(turn) for turn in turns]
    assert len(set(pauses)) > 1
    assert max(pauses) <= 5 * 20_000_000


def test_planned_turns_are_counted_by_target():
    counts = planned(SCENARIO)
    assert counts.total() == 3 * len(arrivals_of(SCENARIO))
    assert set(Counter(phase for phase, _ in counts)) == {"steady"}


def says(*pieces):
    """A gateway that sends these pieces; a number is a pause in seconds."""

    def script(peer):
        for piece in pieces:
            if isinstance(piece, bytes):
                peer.send(piece)
            else:
                gevent.sleep(piece)

    return script


JSON = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"


def whole(document):
    body = orjson.dumps(document)
    return JSON % (len(body), body)


def test_a_whole_answer_to_a_request_for_a_stream_is_no_good_one():
    answer = answer_to(says(whole({"choices": [{"message": {"content": "hi"}}]})))
    assert (answer.outcome, answer.error_type) == (Outcome.STREAM_BROKEN, "not_a_stream")


def test_an_error_in_such_an_answer_keeps_its_own_name():
    answer = answer_to(says(whole({"error": {"type": "overloaded", "message": "busy"}})))
    assert (answer.outcome, answer.error_type) == (Outcome.PROVIDER_ERROR, "overloaded")


TOOLS = replace(TARGET, api=Api.MCP, stream=False, mcp=McpScript((McpCall("w"),)))
HELLO = b'data: {"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2025-06-18"}}\n\n'


def test_an_mcp_server_may_answer_with_an_event_stream():
    answer = answer_to(says(HEAD + chunk(b": hi\n\n") + chunk(HELLO) + END), target=TOOLS)
    assert (answer.outcome, answer.facts.protocol_version) == (Outcome.OK, "2025-06-18")


def test_an_event_stream_that_stays_open_is_over_with_its_answer():
    """Its end is waited for a moment, which the row does not count."""
    answer = answer_to(says(HEAD + chunk(HELLO), 30.0), target=TOOLS)
    assert answer.outcome is Outcome.OK
    assert answer.facts.first_token_ns is None


def test_a_stream_of_thoughts_and_silence_has_a_first_token():
    script = [HEAD, chunk(b": keep-alive\n\n"), 0.02, chunk(event("", reasoning_content="hm"))]
    answer = answer_to(says(*script, chunk(b"data: [DONE]\n\n") + END))
    assert answer.outcome is Outcome.OK
    assert answer.facts.first_token_ns is not None
    assert answer.facts.first_answer_ns is None

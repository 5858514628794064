"""Chat answers: which instant is which, and what counts as an end."""

import json

from tfy_last9.model.scenario import Api, Message, Prompt, Target
from tfy_last9.wire.chat import ChatFacts, request_body


def event(delta=None, **more):
    choices = [] if delta is None else [{"index": 0, "delta": delta}]
    return json.dumps({"choices": choices, **more}).encode()


def facts_of(*events):
    facts = ChatFacts()
    for number, data in enumerate(events):
        facts.take_event(data, 100 * (number + 1))
    return facts


def build_target(**more):
    values = {
        "name": "t",
        "model": "a/m",
        "provider": "openai",
        "may_reach": ("openai",),
        "api": Api.CHAT,
        "stream": True,
        "weight": 1,
        "max_tokens": 20,
        "headers": {},
        "body": {},
    }
    return Target(**(values | more))


PROMPT = Prompt((Message("user", "hi"),))


def test_the_role_chunk_is_not_the_first_token():
    facts = facts_of(event({"role": "assistant", "content": ""}), event({"content": "a"}))
    assert facts.first_token_ns == 200
    assert facts.first_answer_ns == 200
    assert facts.chunks == 1


def test_reasoning_is_the_first_token_but_not_the_first_answer():
    facts = facts_of(event({"reasoning_content": "hm"}), event({"content": "a"}))
    assert (facts.first_token_ns, facts.first_answer_ns) == (100, 200)


def test_a_run_of_tool_calls_has_a_first_token_and_no_answer():
    facts = facts_of(event({"tool_calls": [{"index": 0}]}))
    assert (facts.first_token_ns, facts.first_answer_ns) == (100, None)


def test_the_greatest_gap_is_between_tokens_only():
    facts = facts_of(event({"role": "assistant"}), event({"content": "a"}), event({"content": "b"}))
    assert facts.max_gap_ns == 100
    assert facts.last_token_ns == 300


def test_one_token_has_no_gap():
    assert facts_of(event({"content": "a"})).max_gap_ns is None


def test_usage_cost_and_model_come_from_the_chunks():
    usage = {
        "prompt_tokens": 5,
        "completion_tokens": 7,
        "costInUSD": 0.25,
        "prompt_tokens_details": {"cached_tokens": 2},
        "completion_tokens_details": {"reasoning_tokens": 3},
    }
    facts = facts_of(event({"content": "a"}, model="m-1"), event(None, usage=usage), b"[DONE]")
    assert (facts.input_tokens, facts.output_tokens, facts.cost_usd) == (5, 7, 0.25)
    assert (facts.cached_tokens, facts.reasoning_tokens) == (2, 3)
    assert facts.resolved_model == "m-1"
    assert facts.done


def test_absent_usage_is_none_and_not_zero():
    facts = facts_of(event({"content": "a"}), b"[DONE]")
    assert facts.output_tokens is None
    assert facts.cost_usd is None


def test_an_error_in_the_middle_of_a_stream_is_kept():
    facts = facts_of(event({"content": "a"}), b'{"error":{"type":"overloaded","message":"busy"}}')
    assert (facts.error_type, facts.error_message) == ("overloaded", "busy")
    assert not facts.done


def test_an_unreadable_event_is_an_error_and_not_skipped():
    assert facts_of(b"{broken").error_type == "bad_event"


def test_null_content_and_null_choices_are_tolerated():
    facts = facts_of(b'{"choices":null}', event({"content": None}))
    assert (facts.chunks, facts.error_type) == (0, None)


def test_an_answer_without_choices_is_an_error():
    facts = ChatFacts()
    facts.take_answer(b'{"ok":true}')
    assert facts.error_type == "bad_body"


def test_a_streamed_request_asks_for_usage():
    body = request_body(build_target(), PROMPT)
    assert body["stream_options"] == {"include_usage": True}
    assert body["max_tokens"] == 20


def test_the_body_of_a_target_wins():
    body = request_body(build_target(stream=False, body={"max_tokens": 5, "seed": 1}), PROMPT)
    assert (body["max_tokens"], body["seed"]) == (5, 1)
    assert "stream_options" not in body

"""Faults and switches of answers: what the client sees, and what trace and journal say of it."""

import base64
import json

import pytest
from gateway_world import CHAT, CLAUDE, request, world

STREAM = CHAT | {"stream": True}
MESSAGE = STREAM | {"model": CLAUDE}


def chats(count, body=CHAT):
    return [request("/chat/completions", body) for _ in range(count)]


def statuses(seen):
    return [answer.status for answer in seen.answers]


def test_a_stream_that_is_cut_has_an_error_in_place_of_its_end(tmp_path):
    seen = world(tmp_path, *chats(20, STREAM), faults=["stream_cut=0.1"])
    cut = [answer for answer in seen.answers if "[DONE]" not in answer.text]
    assert len(cut) == 2
    assert statuses(seen) == [200] * 20
    for answer in cut:
        assert answer.events[0]["choices"][0]["delta"]["role"] == "assistant"
        assert answer.events[-1]["error"]["type"] == "APIError"
    broken = [line for line in seen.lines("request") if line["outcome"] == "stream_broken"]
    roots = {span.trace_id: span for span in seen.spans if not span.parent}
    assert [roots[line["trace_id"]].status for line in broken] == ["ERROR", "ERROR"]
    struck = [line for line in seen.lines("answer") if line["fault"] == "stream_cut=0.1"]
    assert len(struck) == 2


@pytest.mark.parametrize("fault", ["stream_cut=1", "stream_error=1"])
@pytest.mark.parametrize(
    ("shape", "last"),
    [("envelope", {"status", "message", "error"}), ("openai", {"error"}), ("close", set())],
)
def test_the_shape_of_an_error_within_a_stream_is_a_switch(tmp_path, fault, shape, last):
    flag = f"--mid-stream-error={shape}"
    answer = world(tmp_path, *chats(1, STREAM), faults=[fault], flags=[flag]).answer
    assert "[DONE]" not in answer.text
    assert answer.complete == (shape != "close")
    assert last <= set(answer.events[-1])
    assert ("error" in answer.events[-1]) == (shape != "close")


def test_anthropics_clients_get_an_error_event_of_anthropic(tmp_path):
    answer = world(tmp_path, request("/messages", MESSAGE), faults=["stream_cut=1"]).answer
    assert answer.events[-1]["type"] == "error"
    assert answer.text.rpartition("event: ")[2].startswith("error\n")


def test_a_stream_that_stalls_is_complete_and_late(tmp_path):
    seen = world(tmp_path, *chats(1, STREAM), faults=["stream_stall=60ms"])
    assert "[DONE]" in seen.answer.text
    (line,) = seen.lines("answer")
    assert line["last_sent_mono_ns"] - line["first_sent_mono_ns"] >= 60_000_000


def test_a_share_of_requests_meets_the_gateways_own_limit(tmp_path):
    seen = world(tmp_path, *chats(20), faults=["rate_limit=0.25"])
    limited = [answer for answer in seen.answers if answer.status == 429]
    assert len(limited) == 5
    first = limited[0]
    assert first.json["message"].startswith(
        "Rate limit exceeded for model: openai-main/gpt-4o-mini"
    )
    assert "provider" not in first.json
    assert json.loads(first.headers["x-tfy-applied-rules"])
    assert len(seen.lines("answer")) == 15
    roots = [span for span in seen.spans if not span.parent]
    assert sum(span.status == "ERROR" for span in roots) == 5


def test_type_and_origin_of_a_429_are_switches(tmp_path):
    flags = ["--rate-limit-type=TooMany", "--rate-limit-level="]
    answer = world(tmp_path, *chats(1), faults=["rate_limit=1"], flags=flags).answer
    assert answer.json["error"]["type"] == "TooMany"
    assert "error_origin_level" not in answer.json


def test_a_header_that_is_missing_hides_a_trace_that_exists(tmp_path):
    seen = world(tmp_path, *chats(20), faults=["missing_header=0.1"])
    hidden = [a for a in seen.answers if "x-tfy-feedback-target-id" not in a.headers]
    assert len(hidden) == 2
    assert sum(line.get("header") == "missing" for line in seen.lines("request")) == 2
    assert len({span.trace_id for span in seen.spans}) == 20


@pytest.mark.parametrize(
    ("when", "expected"),
    [("traced", [False, True, True]), ("always", [True] * 3), ("never", [False, False, True])],
)
def test_whether_errors_name_their_trace_is_a_switch(tmp_path, when, expected):
    unknown = request("/chat/completions", CHAT | {"model": "openai-main/none"})
    refused = request("/chat/completions", CHAT, key="nobody")
    seen = world(tmp_path, refused, unknown, *chats(1), flags=[f"--header-on-errors={when}"])
    assert ["x-tfy-feedback-target-id" in a.headers for a in seen.answers] == expected


def test_the_header_names_the_exported_root(tmp_path):
    seen = world(tmp_path, *chats(1), flags=["--target-shape=nested"])
    header = seen.answer.headers["x-tfy-feedback-target-id"]
    target = json.loads(base64.b64decode(header))["target"]
    root = seen.span("ChatCompletion")
    assert (target["traceId"], target["spanId"]) == (root.trace_id, root.span_id)


@pytest.mark.parametrize(("passing", "seen_by_client"), [("on", 2), ("off", 0)])
def test_half_of_a_providers_429s_say_how_long_to_wait(tmp_path, passing, seen_by_client):
    flag = f"--retry-after={passing}"
    seen = world(tmp_path, *chats(4), faults=["provider_429:openai=1"], flags=[flag])
    assert statuses(seen) == [429] * 4
    assert sum("retry-after" in answer.headers for answer in seen.answers) == seen_by_client
    assert seen.answers[0].json["provider"] == "openai"


def test_an_overloaded_provider_is_slower_first_and_then_refuses(tmp_path):
    """One place and a queue of four: of twelve at once five are answered, one after the other."""
    faults = ["provider_capacity:openai=1"]
    seen = world(tmp_path, *chats(12), faults=faults, together=True)
    assert sorted(statuses(seen)) == [200] * 5 + [429] * 7
    waits = sorted(line["queued_ns"] for line in seen.lines("answer") if line["status"] == 200)
    assert waits == sorted(set(waits))
    served = [line for line in seen.lines("answer") if line["status"] == 200]
    sent = sorted((line["first_sent_mono_ns"], line["queued_ns"]) for line in served)
    assert [queued for _, queued in sent] == waits


def test_a_provider_that_is_down_answers_nothing_but_503(tmp_path):
    seen = world(tmp_path, *chats(3), faults=["provider_down:openai"])
    assert statuses(seen) == [503] * 3


def test_usage_can_be_absent_from_answer_and_trace(tmp_path):
    counted = STREAM | {"stream_options": {"include_usage": True}}
    for flags, faults in ((["--usage=off"], []), ([], ["missing_tokens=1"])):
        seen = world(tmp_path, *chats(1, counted), flags=flags, faults=faults)
        assert not [event for event in seen.answer.events if event.get("usage")]
        attributes = seen.span("Model: ").attributes
        assert not [key for key in attributes if key.endswith(("_tokens", "cost_in_usd"))]


def test_cloudflares_refusal_is_plain_text_without_a_trace(tmp_path):
    asked = request("/chat/completions", CHAT, user_agent="python-httpx/0.28")
    browser = request("/chat/completions", CHAT, user_agent="Mozilla/5.0")
    seen = world(tmp_path, asked, browser, flags=["--user-agents=browser"])
    assert statuses(seen) == [403, 200]
    assert seen.answers[0].text == "error code: 1010"
    assert seen.answers[0].headers["content-type"] == "text/plain"
    assert len({span.trace_id for span in seen.spans}) == 1


@pytest.mark.parametrize(
    ("shape", "kind"), [("envelope", "AuthorizationError"), ("vendor", "permission_error")]
)
def test_errors_of_native_interfaces_wear_the_envelope_or_the_vendors_shape(tmp_path, shape, kind):
    asked = request("/messages", MESSAGE | {"model": "anthropic-main/none"})
    answer = world(tmp_path, asked, flags=[f"--native-errors={shape}"]).answer
    assert answer.json["error"]["type"] == kind


def test_the_served_target_can_go_unnamed(tmp_path):
    answer = world(tmp_path, *chats(1), flags=["--resolved-model=off"]).answer
    assert "x-tfy-resolved-model" not in answer.headers


def test_anthropic_is_held_back_until_its_first_token_so_that_another_target_can_step_in(tmp_path):
    """The virtual model's first target fails with a status, the second within its stream."""
    virtual = STREAM | {"model": "sandbox/chat-default"}
    faults = ["provider_down:openai", "stream_error=0.5"]
    seen = world(tmp_path, *chats(6, virtual), faults=faults)
    assert all(answer.status == 200 for answer in seen.answers)
    served = {answer.headers["x-tfy-resolved-model"] for answer in seen.answers}
    assert served <= {CLAUDE, "gemini-main/gemini-2.5-flash"}


def test_faults_can_be_changed_while_it_runs(tmp_path):
    put = request("/sandbox/faults", method="PUT", body=b'["rate_limit=1", "stream_cut=1"]')
    seen = world(tmp_path, *chats(1), put, *chats(1))
    assert statuses(seen) == [200, 200, 429]
    assert seen.answers[1].json == ["rate_limit=1", "stream_cut=1"]

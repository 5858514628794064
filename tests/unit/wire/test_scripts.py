"""What a target sends, request by request: conversations with tools, and MCP sessions."""

import base64
import json
from dataclasses import replace

import pytest

from tfy_last9.model.check import Check, CheckKind
from tfy_last9.model.conversation import FollowUp, Image, McpCall, McpScript
from tfy_last9.model.request import Outcome
from tfy_last9.model.scenario import Api, Message, Prompt, Target
from tfy_last9.wire.checks import first_failed
from tfy_last9.wire.facts import AnswerFacts
from tfy_last9.wire.image import png
from tfy_last9.wire.mcp import McpFacts
from tfy_last9.wire.outgoing import is_event_stream
from tfy_last9.wire.scripts import Unsendable, first_request, script_of

TARGET = Target("t", "acc/m", "openai", ("openai",), Api.CHAT, False, 1, 9, {}, {})
PROMPT = Prompt(
    (Message("system", "be terse"), Message("user", "weather?")),
    (FollowUp(tool_results={"w": "21"}), FollowUp(text="and tomorrow?")),
)
ANSWERS = {
    Api.CHAT: {
        "choices": [
            {
                "message": {
                    "content": "",
                    "tool_calls": [
                        {"id": "c1", "function": {"name": "w", "arguments": '{"a": 1}'}}
                    ],
                }
            }
        ]
    },
    Api.RESPONSES: {
        "status": "completed",
        "output": [
            {"type": "function_call", "call_id": "c1", "name": "w", "arguments": '{"a": 1}'}
        ],
    },
    Api.MESSAGES: {"content": [{"type": "tool_use", "id": "c1", "name": "w", "input": {"a": 1}}]},
    Api.GEMINI: {
        "candidates": [
            {
                "content": {"parts": [{"functionCall": {"name": "w", "args": {"a": 1}}}]},
                "finishReason": "STOP",
            }
        ]
    },
}


def answered(script, document):
    """Send the next request, take an answer to it, and return what was sent."""
    outgoing = script.outgoing()
    facts = outgoing.facts()
    facts.take_answer(json.dumps(document).encode())
    script.take({}, facts)
    return outgoing


def second_turn(api):
    script = script_of(replace(TARGET, api=api), PROMPT)
    answered(script, ANSWERS[api])
    return script.outgoing().body


def test_a_chat_answers_the_tool_that_was_called():
    *_, called, result = second_turn(Api.CHAT)["messages"]
    function = {"name": "w", "arguments": '{"a": 1}'}
    assert called["tool_calls"] == [{"id": "c1", "type": "function", "function": function}]
    assert result == {"role": "tool", "tool_call_id": "c1", "content": "21"}


def test_a_response_answers_the_tool_that_was_called():
    *_, called, result = second_turn(Api.RESPONSES)["input"]
    assert (called["type"], called["call_id"]) == ("function_call", "c1")
    assert result == {"type": "function_call_output", "call_id": "c1", "output": "21"}


def test_a_message_answers_the_tool_that_was_called():
    body = second_turn(Api.MESSAGES)
    *_, called, result = body["messages"]
    assert called["content"] == [{"type": "tool_use", "id": "c1", "name": "w", "input": {"a": 1}}]
    assert result["content"] == [{"type": "tool_result", "tool_use_id": "c1", "content": "21"}]
    assert body["system"] == "be terse"


def test_gemini_answers_the_tool_that_was_called():
    body = second_turn(Api.GEMINI)
    *_, called, result = body["contents"]
    assert called == {"role": "model", "parts": [{"functionCall": {"name": "w", "args": {"a": 1}}}]}
    response = {"name": "w", "response": {"result": "21"}}
    assert result["parts"] == [{"functionResponse": response}]


def test_results_without_a_call_cannot_be_sent_and_the_next_turn_can():
    script = script_of(TARGET, PROMPT)
    answered(script, {"choices": [{"message": {"content": "21 degrees"}}]})
    with pytest.raises(Unsendable, match="no_tool_call"):
        script.outgoing()
    roles = [message["role"] for message in script.outgoing().body["messages"]]
    assert roles == ["system", "user", "assistant", "user"]


def test_an_arrival_of_one_request_keeps_nothing_of_its_answer():
    assert first_request(TARGET, Prompt((Message("user", "hi"),))).facts().kept is None


@pytest.mark.parametrize(
    ("api", "path", "more"),
    [
        (Api.CHAT, "/chat/completions", {}),
        (Api.RESPONSES, "/responses", {"x-tfy-provider-name": "acc"}),
        (Api.MESSAGES, "/messages", {"anthropic-version": "2023-06-01"}),
        (Api.GEMINI, "/gemini/acc/proxy/v1beta/models/m:generateContent", {}),
        (Api.EMBEDDINGS, "/embeddings", {}),
    ],
)
def test_each_protocol_has_its_place_unless_the_target_says_another(api, path, more):
    target = replace(TARGET, api=api)
    sent = first_request(target, PROMPT)
    assert (sent.path, sent.headers) == (path, more)
    assert first_request(replace(target, path="/v9/x"), PROMPT).path == "/v9/x"


@pytest.mark.parametrize("api", [Api.CHAT, Api.RESPONSES, Api.MESSAGES, Api.GEMINI])
def test_the_body_of_a_target_is_merged_verbatim(api):
    tools = [{"name": "w"}]
    body = first_request(replace(TARGET, api=api, body={"tools": tools, "seed": 1}), PROMPT).body
    assert (body["tools"], body["seed"]) == (tools, 1)


def test_geminis_own_settings_do_not_lose_the_bound_on_tokens():
    body = {"generationConfig": {"temperature": 0}}
    sent = first_request(replace(TARGET, api=Api.GEMINI, body=body), PROMPT).body
    assert sent["generationConfig"] == {"maxOutputTokens": 9, "temperature": 0}


@pytest.mark.parametrize("api", [Api.CHAT, Api.RESPONSES, Api.MESSAGES, Api.GEMINI])
def test_an_image_of_so_many_bytes_goes_along(api):
    prompt = Prompt((Message("user", "see", Image(5000)),))
    text = json.dumps(first_request(replace(TARGET, api=api), prompt).body)
    data = base64.b64encode(png(Image(5000))).decode()
    assert len(png(Image(5000))) == 5000
    assert data in text


def test_a_plain_endpoint_gets_the_prompt_where_it_wants_it():
    target = replace(TARGET, api=Api.HTTP, path="/rerank", prompt_key="query", body={"top_n": 1})
    sent = first_request(target, PROMPT)
    assert sent.body == {"model": "acc/m", "query": "be terse\nweather?", "top_n": 1}
    assert sent.operation == "/rerank"


TOOLS = Target(
    *("tools", "srv", "srv", ("srv",), Api.MCP, False, 1, None, {}, {}),
    mcp=McpScript((McpCall("w", {"a": 1}, times=2),)),
)


def rpc(number, result):
    return {"jsonrpc": "2.0", "id": number, "result": result}


def test_an_mcp_session_shakes_hands_lists_and_calls():
    script = script_of(TOOLS, Prompt(()))
    first = script.outgoing()
    facts = first.facts()
    facts.take_answer(json.dumps(rpc(1, {"protocolVersion": "2025-03-26"})).encode())
    script.take({"mcp-session-id": "s1"}, facts)
    later = [script.outgoing() for _ in range(4)]
    assert [one.operation for one in (first, *later)] == [
        *("initialize", "notifications/initialized", "tools/list", "tools/call", "tools/call"),
    ]
    assert first.headers == {}
    for one in later:
        assert one.headers == {"mcp-session-id": "s1", "mcp-protocol-version": "2025-03-26"}
        assert one.path == "/mcp/v1/srv/mcp"
    assert later[-1].body["params"] == {"name": "w", "arguments": {"a": 1}}
    assert [one.body.get("id") for one in (first, *later)] == [1, None, 3, 4, 5]


@pytest.mark.parametrize(
    ("message", "outcome", "error_type"),
    [
        (rpc(3, {"content": [{"type": "text", "text": "21"}]}), None, None),
        (rpc(3, {"content": [], "isError": True}), Outcome.PROVIDER_ERROR, "tool_error"),
        (rpc(4, {"content": []}), Outcome.STREAM_BROKEN, "bad_body"),
        (
            {"id": 3, "error": {"code": -32602, "message": "Unknown tool"}},
            *(Outcome.PROVIDER_ERROR, "jsonrpc_-32602"),
        ),
        (
            {"id": 3, "error": {"code": -32000, "message": "Input Guardrail checks failed for x"}},
            *(Outcome.REJECTED_GUARDRAIL, "jsonrpc_-32000"),
        ),
    ],
)
def test_tool_errors_protocol_errors_and_refusals_are_told_apart(message, outcome, error_type):
    facts = McpFacts(request_id=3)
    facts.take_answer(json.dumps(message).encode())
    mishap = facts.mishap()
    assert (mishap and mishap[:2]) == (outcome and (outcome, error_type))


def test_progress_on_an_mcp_stream_is_no_answer():
    facts = McpFacts(request_id=3)
    facts.take_event(b'{"method": "notifications/progress", "params": {}}', 1)
    assert facts.mishap().error_type == "missing_done"
    facts.take_event(json.dumps(rpc(3, {"tools": [{"name": "w"}]})).encode(), 2)
    assert (facts.mishap(), facts.items, facts.tools) == (None, 1, ("w",))


def test_a_notification_is_answered_by_nobody():
    facts = McpFacts(request_id=None)
    facts.take_answer(b"")
    assert facts.mishap() is None


@pytest.mark.parametrize(
    ("kind", "asked", "is_stream"),
    [
        ("text/event-stream; charset=utf-8", False, True),
        ("application/json", True, False),
        ("", True, True),
        ("", False, False),
        ("audio/mpeg", False, False),
    ],
)
def test_the_type_of_an_answer_decides_how_it_is_read(kind, asked, is_stream):
    assert is_event_stream(kind, asked=asked) is is_stream


class Said(AnswerFacts):
    """An answer with these words."""

    def said(self):
        return super().said()._replace(text=self.words)


def answer(words="", **facts):
    found = Said(**facts)
    found.words = words
    return found


@pytest.mark.parametrize(
    ("check", "good", "bad"),
    [
        (Check(CheckKind.NON_EMPTY), answer(first_answer_ns=1), answer()),
        (Check(CheckKind.NON_EMPTY), answer("a", kept=[]), answer(" \n", kept=[])),
        (Check(CheckKind.NON_EMPTY), answer(tool_calls=1), answer(items=0)),
        (
            Check(CheckKind.FINISH_REASON, words=("stop",)),
            *(answer(finish_reason="STOP"), answer(finish_reason="length")),
        ),
        (Check(CheckKind.REGEX, pattern=r"\d+"), answer("21 degrees"), answer("warm")),
        (
            Check(CheckKind.JSON_SCHEMA, schema={"type": "object", "required": ["a"]}),
            *(answer('{"a": 1}'), answer('{"b": 1}')),
        ),
        (Check(CheckKind.JSON_SCHEMA, schema={}), answer("{}"), answer("no json")),
    ],
)
def test_checks_pass_good_answers_and_name_what_fails(check, good, bad):
    assert first_failed([check], good) is None
    assert first_failed([check], bad) == check.kind.value

"""Every protocol of the gateway: its stream fed whole, split at every byte and cut off; and its whole answer."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfy_last9.model.conversation import ToolCall
from tfy_last9.model.request import Outcome
from tfy_last9.wire.chat import ChatFacts
from tfy_last9.wire.embeddings import EmbeddingFacts
from tfy_last9.wire.gemini import GeminiFacts
from tfy_last9.wire.mcp import McpFacts
from tfy_last9.wire.messages import MessagesFacts
from tfy_last9.wire.plain_http import HttpFacts
from tfy_last9.wire.responses import ResponsesFacts
from tfy_last9.wire.sse import EventReader


def events(*documents, named=False, done=False):
    lines = b""
    for document in documents:
        if named:
            lines += f"event: {document['type']}\n".encode()
        lines += b"data: " + json.dumps(document).encode() + b"\n\n"
    return lines + (b"data: [DONE]\n\n" if done else b"")


def chat_delta(**delta):
    return {"model": "gpt-1", "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}


CHAT = events(
    chat_delta(role="assistant", content=""),
    chat_delta(reasoning_content="hm"),
    chat_delta(content="Clear"),
    chat_delta(content=" sky"),
    chat_delta(tool_calls=[{"index": 0, "id": "c1", "function": {"name": "w", "arguments": ""}}]),
    chat_delta(tool_calls=[{"index": 0, "function": {"arguments": '{"a": '}}]),
    chat_delta(tool_calls=[{"index": 0, "function": {"arguments": "1}"}}]),
    {"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]},
    {"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 7, "costInUSD": 0.5}},
    done=True,
)
CALL_ITEM = {"type": "function_call", "call_id": "c1", "name": "w", "arguments": '{"a": 1}'}
TEXT_ITEM = {"type": "message", "content": [{"type": "output_text", "text": "Clear sky"}]}
RESPONSE = {
    "id": "resp_1",
    "model": "gpt-1",
    "status": "completed",
    "output": [TEXT_ITEM, CALL_ITEM],
    "usage": {
        "input_tokens": 9,
        "output_tokens": 7,
        "input_tokens_details": {"cached_tokens": 4},
        "output_tokens_details": {"reasoning_tokens": 2},
        "costInUSD": 0.5,
    },
}
RESPONSES = events(
    {"type": "response.created", "response": {"status": "in_progress"}},
    {"type": "response.reasoning_summary_text.delta", "delta": "hm"},
    {"type": "response.output_text.delta", "delta": "Clear"},
    {"type": "response.output_text.delta", "delta": " sky"},
    {"type": "response.output_item.added", "item": {"type": "function_call", "name": "w"}},
    {"type": "response.function_call_arguments.delta", "delta": '{"a": '},
    {"type": "response.function_call_arguments.delta", "delta": "1}"},
    {"type": "response.completed", "response": RESPONSE},
    named=True,
)


def block(index, **content):
    return {"type": "content_block_start", "index": index, "content_block": content}


def delta(index, **content):
    return {"type": "content_block_delta", "index": index, "delta": content}


MESSAGES = events(
    {
        "type": "message_start",
        "message": {
            "model": "gpt-1",
            "content": [],
            "usage": {"input_tokens": 5, "cache_read_input_tokens": 4, "output_tokens": 1},
        },
    },
    {"type": "ping"},
    block(0, type="thinking", thinking=""),
    delta(0, type="thinking_delta", thinking="hm"),
    delta(0, type="signature_delta", signature="s"),
    block(1, type="text", text=""),
    delta(1, type="text_delta", text="Clear"),
    delta(1, type="text_delta", text=" sky"),
    block(2, type="tool_use", id="c1", name="w", input={}),
    delta(2, type="input_json_delta", partial_json='{"a": '),
    delta(2, type="input_json_delta", partial_json="1}"),
    {
        "type": "message_delta",
        "delta": {"stop_reason": "tool_use"},
        "usage": {"output_tokens": 7, "costInUSD": 0.5},
    },
    {"type": "message_stop"},
    named=True,
)


def parts(*listed, **more):
    candidate = {"content": {"role": "model", "parts": list(listed)}, "index": 0}
    return {"candidates": [candidate | more], "modelVersion": "gpt-1"}


GEMINI_USAGE = {
    "promptTokenCount": 9,
    "candidatesTokenCount": 5,
    "thoughtsTokenCount": 2,
    "cachedContentTokenCount": 4,
    "costInUSD": 0.5,
}
GEMINI = events(
    parts({"text": "hm", "thought": True}),
    parts({"text": "Clear"}),
    parts({"text": " sky"}),
    parts({"functionCall": {"name": "w", "args": {"a": 1}, "id": "c1"}}),
    parts({"text": ""}, finishReason="STOP") | {"usageMetadata": GEMINI_USAGE},
)
STREAMS = {
    "chat": (ChatFacts, CHAT, "tool_calls"),
    "responses": (ResponsesFacts, RESPONSES, "completed"),
    "messages": (MessagesFacts, MESSAGES, "tool_use"),
    "gemini": (GeminiFacts, GEMINI, "STOP"),
}
protocols = pytest.mark.parametrize(
    ("kind", "stream"), [found[:2] for found in STREAMS.values()], ids=STREAMS
)


def read(kind, pieces, **more):
    facts = kind(**more)
    reader = EventReader(facts)
    for at_ns, piece in enumerate(pieces, start=1):
        reader.feed(piece, at_ns)
    return facts


def but_instants(facts):
    """Facts that do not depend on when the bytes came."""
    return (
        *(facts.chunks, facts.reasoning_chunks, facts.tool_chunks, facts.tool_calls),
        *(facts.finish_reason, facts.resolved_model, facts.input_tokens, facts.output_tokens),
        *(facts.cost_usd, facts.error_type, facts.done),
    )


@pytest.mark.parametrize(("kind", "stream", "reason"), STREAMS.values(), ids=STREAMS)
def test_a_stream_says_what_it_said(kind, stream, reason):
    facts = read(kind, [stream], kept=[])
    assert facts.mishap() is None
    assert (facts.finish_reason, facts.resolved_model) == (reason, "gpt-1")
    assert (facts.input_tokens, facts.output_tokens, facts.cost_usd) == (9, 7, 0.5)
    assert (facts.tool_calls, facts.reasoning_chunks) == (1, 1)
    said = facts.said()
    assert said.text == "Clear sky"
    assert [(call.id, call.name, json.loads(call.arguments)) for call in said.tool_calls] == [
        ("c1", "w", {"a": 1})
    ]


@protocols
def test_a_stream_split_at_every_byte_says_the_same(kind, stream):
    whole = but_instants(read(kind, [stream]))
    for place in range(1, len(stream)):
        assert but_instants(read(kind, [stream[:place], stream[place:]])) == whole
    assert but_instants(read(kind, [stream[i : i + 1] for i in range(len(stream))])) == whole


@protocols
def test_a_stream_that_is_cut_off_is_never_whole(kind, stream):
    end = stream.rindex(b"data: ") if kind is not ChatFacts else stream.rindex(b"data: [DONE]")
    for place in range(end):
        facts = read(kind, [stream[:place]])
        assert facts.mishap() is not None
        assert facts.mishap().outcome is Outcome.STREAM_BROKEN


@protocols
def test_thinking_is_the_first_token_and_no_answer(kind, stream):
    pieces = [piece + b"\n\n" for piece in stream.split(b"\n\n") if piece]
    facts = read(kind, pieces)
    assert facts.first_token_ns < facts.first_answer_ns < facts.last_token_ns


@pytest.mark.parametrize(
    ("kind", "thought", "answer"),
    [
        (ChatFacts, chat_delta(reasoning="hm"), chat_delta(content="Clear")),
        (
            ResponsesFacts,
            {"type": "response.reasoning_text.delta", "delta": "hm"},
            {"type": "response.output_text.delta", "delta": "Clear"},
        ),
        (
            MessagesFacts,
            block(0, type="redacted_thinking", data="c2VjcmV0"),
            block(1, type="text", text="Clear"),
        ),
        (
            GeminiFacts,
            parts({"text": "hm", "thought": True, "thoughtSignature": "c2ln"}),
            parts({"text": "Clear", "thoughtSignature": "c2ln"}),
        ),
    ],
)
def test_other_spellings_of_a_thought_are_the_first_token_too(kind, thought, answer):
    facts = read(kind, [events(thought), events(answer)])
    assert (facts.first_token_ns, facts.first_answer_ns) == (1, 2)


@protocols
def test_comments_are_signs_of_life_only(kind, stream):
    kept_alive = stream.replace(b"\n\n", b"\n\n: keep-alive\n\n")
    assert but_instants(read(kind, [kept_alive])) == but_instants(read(kind, [stream]))


@pytest.mark.parametrize(
    ("kind", "stream"),
    [
        (ChatFacts, events(chat_delta(tool_calls=[{"index": 0, "function": {"name": "w"}}]))),
        (
            ResponsesFacts,
            events({"type": "response.output_item.added", "item": {"type": "function_call"}}),
        ),
        (MessagesFacts, events(block(0, type="tool_use", id="c1", name="w", input={}))),
        (GeminiFacts, events(parts({"functionCall": {"name": "w", "args": {}}}))),
    ],
)
def test_an_answer_of_tool_calls_alone_has_a_first_token(kind, stream):
    facts = read(kind, [stream])
    assert (facts.first_token_ns, facts.first_answer_ns) == (1, None)


@pytest.mark.parametrize(
    ("kind", "event", "error_type"),
    [
        (ChatFacts, {"error": {"type": "overloaded", "message": "busy"}}, "overloaded"),
        (ChatFacts, {"error": '{"type": "fetch", "message": "busy"}'}, "fetch"),
        (ChatFacts, {"status": "failure", "message": "busy"}, "stream_error"),
        (
            ResponsesFacts,
            {"type": "error", "code": "server_error", "message": "busy"},
            "server_error",
        ),
        (
            ResponsesFacts,
            {"type": "response.failed", "response": {"error": {"code": "e1", "message": "busy"}}},
            "e1",
        ),
        (
            MessagesFacts,
            {"type": "error", "error": {"type": "overloaded_error", "message": "busy"}},
            "overloaded_error",
        ),
        (
            GeminiFacts,
            {"error": {"code": 503, "message": "busy", "status": "UNAVAILABLE"}},
            "UNAVAILABLE",
        ),
    ],
)
def test_an_error_in_the_middle_of_a_stream_is_a_broken_stream(kind, event, error_type):
    mishap = read(kind, [events(event)]).mishap()
    assert (mishap.outcome, mishap.error_type, mishap.message) == (
        *(Outcome.STREAM_BROKEN, error_type),
        "busy",
    )


WHOLE = {
    "chat": (
        ChatFacts,
        {
            "model": "gpt-1",
            "choices": [
                {
                    "message": {
                        "content": "Clear sky",
                        "tool_calls": [
                            {"id": "c1", "function": {"name": "w", "arguments": '{"a": 1}'}}
                        ],
                    },
                    "finish_reason": "stop",
                }
            ],
            "usage": {"prompt_tokens": 9, "completion_tokens": 7, "costInUSD": 0.5},
        },
    ),
    "responses": (ResponsesFacts, RESPONSE),
    "messages": (
        MessagesFacts,
        {
            "model": "gpt-1",
            "content": [
                {"type": "text", "text": "Clear sky"},
                {"type": "tool_use", "id": "c1", "name": "w", "input": {"a": 1}},
            ],
            "stop_reason": "tool_use",
            "usage": {
                "input_tokens": 5,
                "cache_read_input_tokens": 4,
                "output_tokens": 7,
                "costInUSD": 0.5,
            },
        },
    ),
    "gemini": (
        GeminiFacts,
        parts(
            {"text": "Clear sky"},
            {"functionCall": {"name": "w", "args": {"a": 1}, "id": "c1"}},
            finishReason="STOP",
        )
        | {"usageMetadata": GEMINI_USAGE},
    ),
}


@pytest.mark.parametrize(("kind", "document"), WHOLE.values(), ids=WHOLE)
def test_a_whole_answer_says_what_its_stream_would(kind, document):
    facts = kind(kept=[])
    facts.take_answer(json.dumps(document).encode())
    assert facts.mishap() is None
    assert (facts.input_tokens, facts.output_tokens, facts.cost_usd) == (9, 7, 0.5)
    assert (facts.tool_calls, facts.first_token_ns) == (1, None)
    said = facts.said()
    assert said.text == "Clear sky"
    assert [json.loads(call.arguments) for call in said.tool_calls] == [{"a": 1}]


ALL_KINDS = (ChatFacts, ResponsesFacts, MessagesFacts, GeminiFacts, EmbeddingFacts, HttpFacts)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    *("type", "error", "choices", "delta", "message", "content", "usage", "item"),
                    *(
                        "response",
                        "output",
                        "candidates",
                        "parts",
                        "content_block",
                        "data",
                        "result",
                    ),
                    *("id", "status", "tool_calls", "function", "usageMetadata", "tools", "index"),
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(st.sampled_from((*ALL_KINDS, McpFacts)), json_values | st.binary(max_size=20))
def test_no_body_and_no_event_breaks_a_reader(kind, value):
    """A gateway may send anything: it becomes facts or a mishap, never an exception."""
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    for take in (lambda facts: facts.take_event(data, 1), lambda facts: facts.take_answer(data)):
        facts = kind(kept=[])
        take(facts)
        facts.mishap()
        facts.said()


def test_a_blocked_prompt_is_the_providers_error():
    facts = read(GeminiFacts, [events({"promptFeedback": {"blockReason": "SAFETY"}})])
    assert facts.mishap()[:2] == (Outcome.PROVIDER_ERROR, "prompt_blocked")


def test_an_incomplete_response_says_why_it_ended():
    document = RESPONSE | {
        "status": "incomplete",
        "incomplete_details": {"reason": "max_output_tokens"},
    }
    facts = read(ResponsesFacts, [events({"type": "response.incomplete", "response": document})])
    assert (facts.finish_reason, facts.mishap()) == ("max_output_tokens", None)


@pytest.mark.parametrize(
    ("expected", "data", "items", "is_good"),
    [
        (2, [{"embedding": [0.1]}, {"embedding": "AAAA"}], 2, True),
        (3, [{"embedding": [0.1]}, {"embedding": [0.2]}], 2, False),
        (None, [{"embedding": [0.1]}], 1, True),
        (None, [], 0, False),
        (1, [{"embedding": []}], 0, False),
    ],
)
def test_embeddings_are_counted(expected, data, items, is_good):
    facts = EmbeddingFacts(expected=expected)
    facts.take_answer(json.dumps({"data": data, "usage": {"prompt_tokens": 4}}).encode())
    assert (facts.items, facts.input_tokens, facts.mishap() is None) == (items, 4, is_good)


def test_an_answer_that_is_no_json_is_good_for_a_plain_endpoint():
    facts = HttpFacts()
    facts.take_answer(b"\xff\xfb sound")
    assert facts.mishap() is None


def test_results_of_a_plain_endpoint_are_counted():
    facts = HttpFacts()
    facts.take_answer(b'{"results": [{"index": 0}, {"index": 1}]}')
    assert facts.items == 2


def test_a_status_of_200_with_an_error_inside_is_the_providers_error():
    facts = HttpFacts()
    facts.take_answer(b'{"error": {"message": "busy"}}')
    assert facts.mishap().outcome is Outcome.PROVIDER_ERROR


def test_what_is_kept_is_kept_whole_though_tokens_look_alike():
    tokens = [chat_delta(content="a") for _ in range(5)]
    facts = read(ChatFacts, [events(*tokens, done=True)], kept=[])
    assert facts.said().text == "aaaaa"
    assert facts.chunks == 5


def test_a_call_without_an_id_goes_by_its_name():
    facts = read(GeminiFacts, [events(parts({"functionCall": {"name": "w"}}))], kept=[])
    assert facts.said().tool_calls == (ToolCall("w", "w", "{}"),)

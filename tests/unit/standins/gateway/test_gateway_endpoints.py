"""Every endpoint: what the client gets, under which addresses, and the trace that is exported."""

import json

import pytest
from gateway_world import CHAT, CITY, CLAUDE, GPT, request, world

GEMINI = "/gemini/gemini-main/proxy/v1beta/models/gemini-2.5-flash"
ANSWERS = [
    ("/chat/completions", CHAT, "ChatCompletion", "ChatCompletion"),
    (
        "/completions",
        {"model": "openai-main/gpt-3.5-turbo-instruct", "prompt": "Why?"},
        "Completion",
        "Completion",
    ),
    ("/messages", CHAT | {"model": CLAUDE}, "ChatCompletion", "Messages"),
    ("/responses", {"model": GPT, "input": "Why?"}, "ChatCompletion", "CreateModelResponse"),
    (
        f"{GEMINI}:generateContent",
        {"contents": [{"parts": [{"text": "Why?"}]}]},
        "ChatCompletion",
        "GenerateContent",
    ),
    (
        "/embeddings",
        {"model": "openai-main/text-embedding-3-small", "input": "Why?", "dimensions": 8},
        "Embedding",
        "Embedding",
    ),
    (
        "/rerank",
        {"model": "cohere-main/rerank-v3.5", "query": "a", "documents": ["a", "b"]},
        "Rerank",
        "Rerank",
    ),
    (
        "/moderations",
        {"model": "openai-main/omni-moderation-latest", "input": "x"},
        "Moderation",
        "Moderation",
    ),
    (
        "/images/generations",
        {"model": "openai-main/gpt-image-1", "prompt": "x", "size": "8x8"},
        "Image",
        "Image",
    ),
    (
        "/audio/speech",
        {"model": "openai-main/gpt-4o-mini-tts", "input": "x", "voice": "alloy"},
        "Audio",
        "AudioSpeech",
    ),
]


@pytest.mark.parametrize(
    ("path", "body", "root", "request_type"), ANSWERS, ids=[row[0] for row in ANSWERS]
)
def test_each_endpoint_answers_and_exports_root_model_and_request(
    tmp_path, path, body, root, request_type
):
    seen = world(tmp_path, request(path, body))
    assert seen.answer.status == 200
    assert seen.answer.complete
    assert "server-timing" in seen.answer.headers
    top, model, http = seen.span(f"{root}: "), seen.span("Model: "), seen.span("POST https://")
    assert (top.parent, model.parent, http.parent) == ("", top.span_id, model.span_id)
    assert top.attributes["tfy.span_type"] == root
    assert model.attributes["tfy.model.request_type"] == request_type
    assert seen.answer.headers["x-tfy-resolved-model"] == model.attributes["tfy.model.name"]
    (line,) = seen.lines("request")
    assert (line["trace_id"], line["outcome"]) == (top.trace_id, "ok")


STREAMS = [
    row
    for row in ANSWERS
    if "contents" in row[1]
    or row[0] in {"/chat/completions", "/completions", "/messages", "/responses"}
]


@pytest.mark.parametrize(
    ("path", "body", "root", "request_type"), STREAMS, ids=[row[0] for row in STREAMS]
)
def test_the_trace_of_a_stream_counts_what_the_client_was_told(
    tmp_path, path, body, root, request_type
):
    """Tokens are compared with what the answer itself says, in each vendor's words."""
    del root, request_type
    path = path.replace(":generate", ":streamGenerate")
    body = body | ({} if "contents" in body else {"stream": True})
    if path in {"/chat/completions", "/completions"}:
        body["stream_options"] = {"include_usage": True}
    seen = world(tmp_path, request(path, body))
    attributes = seen.span("Model: ").attributes
    told = usage_of(seen.answer.events)
    assert attributes["tfy.model.metric.output_tokens"] == told > 1
    assert attributes["tfy.model.streaming"] is True
    assert attributes["tfy.model.metric.time_to_first_token_in_ms"] > 0
    assert attributes["tfy.model.metric.inter_token_latency_in_ms"] > 0
    assert attributes["tfy.model.metric.cost_in_usd"] > 0
    assert "server-timing" not in seen.answer.headers
    (line,) = seen.lines("answer")
    assert line["chunks"] == told


def usage_of(events) -> int:
    for event in reversed(events):
        holder = event.get("response", event)
        usage = holder.get("usage") or holder.get("usageMetadata")
        if usage:
            names = ("completion_tokens", "output_tokens", "candidatesTokenCount")
            return next(usage[name] for name in names if name in usage)
    raise AssertionError("no usage")


@pytest.mark.parametrize(
    "prefix", ["", "/v1", "/api/llm", "/api/llm/v1", "/sandbox", "/sandbox/v1"]
)
def test_an_endpoint_answers_under_all_documented_addresses(tmp_path, prefix):
    listed = request(f"{prefix}/models", method="GET")
    seen = world(tmp_path, request(f"{prefix}/chat/completions", CHAT), listed)
    assert [answer.status for answer in seen.answers] == [200, 200]


def test_keys_are_taken_as_each_vendors_client_sends_them(tmp_path):
    keys = [{"x_api_key": "k"}, {"x_goog_api_key": "k"}, {"authorization": "Bearer k"}]
    asked = [request("/chat/completions", CHAT, key="nobody", **key) for key in keys]
    seen = world(tmp_path, *asked, request("/chat/completions", CHAT, key="nobody"))
    assert [answer.status for answer in seen.answers] == [200, 200, 200, 401]
    refused = seen.answers[-1].json
    assert refused["error_origin_level"] == "authentication"
    assert refused["error"]["code"] == "401"
    assert len({span.trace_id for span in seen.spans}) == 3


def test_a_tool_call_in_a_stream_is_a_token_of_the_trace(tmp_path):
    tool = {"type": "function", "function": {"name": "get_weather", "parameters": CITY}}
    seen = world(tmp_path, request("/chat/completions", CHAT | {"tools": [tool], "stream": True}))
    attributes = seen.span("Model: ").attributes
    assert attributes["tfy.model.metric.time_to_first_token_in_ms"] > 0
    output = json.loads(attributes["tfy.output"])
    assert "get_weather" in output["choices"][0]["message"]["content"]


def test_a_form_reaches_the_vendor_with_its_own_model(tmp_path):
    form = (
        b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nopenai-main/whisper-1\r\n'
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n'
        b"Content-Type: audio/wav\r\n\r\nRIFF\r\n--b--\r\n"
    )
    asked = request("/audio/transcriptions", form, content_type="multipart/form-data; boundary=b")
    seen = world(tmp_path, asked)
    assert seen.answer.json["text"]
    assert seen.lines("answer")[0]["model"] == "whisper-1"


def rpc(
    method, number=1, session=None, accept="application/json", server="sandbox-tools", **params
):
    body = {"jsonrpc": "2.0", "method": method, "id": number, "params": params}
    headers = {"mcp_session_id": session} if session else {}
    return request(f"/mcp/v1/{server}/mcp", body, accept=accept, **headers)


def test_an_mcp_session_begins_with_initialize_and_a_call_without_one_is_refused(tmp_path):
    seen = world(tmp_path, rpc("initialize", protocolVersion="2025-06-18"), rpc("tools/list"))
    first, second = seen.answers
    assert first.json["result"]["protocolVersion"] == "2025-06-18"
    assert first.headers["mcp-session-id"]
    assert second.status == 400
    step = seen.span("MCP: initialize (sandbox-tools)")
    assert step.attributes["tfy.mcp_server.method"] == "initialize"
    roots = [span for span in seen.spans if span.name == "MCP: sandbox-tools"]
    assert [root.status for root in roots] == ["OK", "ERROR"]


def test_mcp_servers_get_the_clients_headers_for_them_and_the_trace(tmp_path):
    scope, raw = rpc("initialize", protocolVersion="2025-11-25")
    given = (b"x-tfy-mcp-headers", b'{"X-Team-Key": "secret"}')
    bad = (b"x-tfy-mcp-headers", b'{"x": "a\\r\\nhost: b"}')
    seen = world(
        tmp_path,
        (scope | {"headers": [*scope["headers"], given]}, raw),
        (scope | {"headers": [*scope["headers"], bad]}, raw),
    )
    assert [answer.status for answer in seen.answers] == [200, 400]
    (asked,) = seen.lines("mcp")
    assert asked["headers"] == ["x-team-key"]
    root = next(span for span in seen.spans if span.attributes["tfy.span_type"] == "MCPGateway")
    assert asked["traceparent"] == f"00-{root.trace_id}-{root.span_id}-01"


def test_an_mcp_session_ends_with_delete(tmp_path):
    sessions = []

    def ending(answer):
        sessions.append(answer.headers["mcp-session-id"])
        path = "/mcp/v1/sandbox-tools/mcp"
        return request(path, b"", method="DELETE", mcp_session_id=sessions[0])

    def again(_):
        return rpc("tools/list", session=sessions[0])

    seen = world(tmp_path, rpc("initialize", protocolVersion="2025-11-25"), ending, again)
    assert [answer.status for answer in seen.answers] == [200, 204, 404]
    assert seen.span("MCP: DELETE (sandbox-tools)").status == "OK"


@pytest.mark.parametrize(
    "path", ["/v1/batches", "/api/llm/files/f-1/content", "/fine_tuning/jobs", "/sandbox/batches"]
)
def test_what_the_sandbox_has_not_is_told_from_what_does_not_exist(tmp_path, path):
    named = {"x_tfy_provider_name": "openai-main"}
    seen = world(
        tmp_path,
        request(path, {}, **named),
        request(path, {}),
        request(path, {}, key="wrong", **named),
    )
    assert [answer.status for answer in seen.answers] == [501, 400, 401]
    assert {answer.json["status"] for answer in seen.answers} == {"failure"}
    assert "sandbox" in seen.answers[0].json["message"]
    assert "x-tfy-provider-name" in seen.answers[1].json["message"]


@pytest.mark.parametrize("path", ["/live/openai-main", "/bedrock/proxy/x", "/agent/responses"])
def test_other_endpoints_of_the_real_gateway_say_that_they_are_missing(tmp_path, path):
    seen = world(tmp_path, request(path, {}))
    assert (seen.answer.status, seen.answer.json["error"]["code"]) == (501, "501")


def test_an_unknown_mcp_server_is_refused_like_an_unknown_model(tmp_path):
    seen = world(tmp_path, rpc("initialize", server="nothing"))
    assert seen.answer.status == 403
    assert seen.answer.json["error"]["type"] == "AuthorizationError"


def test_what_is_no_endpoint_is_a_404_in_the_gateways_envelope(tmp_path):
    seen = world(tmp_path, request("/nothing", {}), request("/chat/completions", method="GET"))
    assert [answer.status for answer in seen.answers] == [404, 404]
    assert seen.answers[0].json["status"] == "failure"

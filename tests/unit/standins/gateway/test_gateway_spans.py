import dataclasses
import json

import pytest
from gateway_settings import seen, settings_with, value_of

from tfy_last9.standins.gateway import kinds
from tfy_last9.standins.gateway.catalogue import BY_NAME
from tfy_last9.standins.gateway.otlp import request_of
from tfy_last9.standins.gateway.spans import Teller, spans_of
from tfy_last9.standins.gateway.story import Attempt, Story, ToolStep

MS = 1_000_000
CARD = BY_NAME["openai-main/gpt-4o-mini"]


@pytest.fixture
def chosen():
    return settings_with()


def served_story() -> Story:
    attempt = Attempt(CARD, started_ns=10 * MS, finished_ns=500 * MS, status=200)
    for at_ms in (260, 270, 290):
        attempt.saw_token(" word", at_ms * MS)
    attempt.finish_reason = "length"
    attempt.input_tokens, attempt.output_tokens, attempt.cost_usd = 7, 3, 2.85e-6
    return Story(
        trace_id=0x019E88D3D58B72289DB404B486E0E151,
        root_span_id=0x1078A3517B71AD36,
        parent_span_id=None,
        received_ns=9 * MS,
        wall_offset_ns=1_000_000 * MS,
        finished_ns=501 * MS,
        requested_model=CARD.name,
        subject="someone",
        metadata={"run_id": "r42"},
        streaming=True,
        input_json='{"messages":[]}',
        input_short="hi",
        attempts=[attempt],
        status=200,
        outcome="ok",
    )


def told(chosen, story, silent=()):
    spans = map(seen, Teller(chosen).tell(story, silent))
    return {span.name.split(maxsplit=1)[0]: span for span in spans}


def test_a_served_stream_leaves_root_model_and_http_in_one_trace(chosen):
    spans = told(chosen, served_story())
    root, model, http = spans["ChatCompletion:"], spans["Model:"], spans["POST"]
    assert root.name == "ChatCompletion: openai-main/gpt-4o-mini"
    assert model.name == "Model: openai-main/gpt-4o-mini"
    assert http.name == "POST https://api.openai.com/v1/chat/completions"
    assert not root.parent
    assert model.parent == root.span_id
    assert http.parent == model.span_id
    assert [span.kind for span in (root, model, http)] == ["SERVER", "INTERNAL", "CLIENT"]
    assert {span.trace_id for span in spans.values()} == {"019e88d3d58b72289db404b486e0e151"}
    assert {span.status for span in spans.values()} == {"OK"}


def test_the_root_bears_the_span_id_the_client_was_told(chosen):
    assert told(chosen, served_story())["ChatCompletion:"].span_id == "1078a3517b71ad36"


def test_spans_are_dated_in_wall_time(chosen):
    spans = told(chosen, served_story())
    root, model = spans["ChatCompletion:"], spans["Model:"]
    assert (root.start_ns, root.end_ns) == (1_000_009 * MS, 1_000_501 * MS)
    assert (model.start_ns, model.end_ns) == (1_000_010 * MS, 1_000_500 * MS)


def test_model_metrics_carry_the_documented_units(chosen):
    attributes = told(chosen, served_story())["Model:"].attributes
    metric = "tfy.model.metric."
    assert attributes[metric + "latency_in_ms"] == 490.0
    assert attributes[metric + "time_to_first_token_in_ms"] == 250.0
    assert attributes[metric + "inter_token_latency_in_ms"] == 15.0
    assert attributes[metric + "input_tokens"] == 7
    assert attributes[metric + "output_tokens"] == 3
    assert attributes[metric + "cost_in_usd"] == 2.85e-6
    assert attributes["tfy.model.streaming"] is True
    assert attributes["tfy.model.fqn"] == "sandbox:openai:openai-main:model:gpt-4o-mini"


def test_whole_answers_have_no_streaming_metrics(chosen):
    story = served_story()
    story.streaming = False
    attributes = told(chosen, story)["Model:"].attributes
    assert not [key for key in attributes if "first_token" in key or "inter_token" in key]


def test_root_metadata_is_one_json_string_and_a_superset_of_what_was_sent(chosen):
    spans = told(chosen, served_story())
    text = spans["ChatCompletion:"].attributes["tfy.request.metadata"]
    assert json.loads(text) == {
        "run_id": "r42",
        "tfy_gateway_region": "local",
        "tfy_gateway_zone": "local-a",
    }
    assert "tfy.request.metadata" not in spans["Model:"].attributes


def test_every_span_names_the_tenant_and_the_resource_is_exactly_the_documented_one(chosen):
    spans = Teller(chosen).tell(served_story())
    for span in map(seen, spans):
        assert span.attributes["tfy.request.tenant_name"] == "sandbox"
    (under,) = request_of(spans, chosen.resource).resource_spans
    assert {pair.key: value_of(pair.value) for pair in under.resource.attributes} == {
        "service.name": "tfy-llm-gateway",
        "env": "sandbox",
        "region": "local",
        "team": "platform",
        "tenant_id": "sandbox",
    }
    assert len(under.scope_spans[0].spans) == 3


def test_request_data_can_be_excluded(chosen):
    payloads = {"tfy.input", "tfy.output", "tfy.input_short_hand"}
    with_data = told(chosen, served_story())
    assert payloads <= set(with_data["ChatCompletion:"].attributes)
    without = told(dataclasses.replace(chosen, exclude_request_data=True), served_story())
    for span in without.values():
        assert not payloads & set(span.attributes)


def test_unknown_encodings_are_switches():
    flat = settings_with("--metadata-encoding=flat", "--metadata-on-all-spans")
    for span in told(flat, served_story()).values():
        assert span.attributes["tfy.request.metadata.run_id"] == "r42"
    genai = told(settings_with("--attributes=both"), served_story())["Model:"]
    assert genai.attributes["gen_ai.provider.name"] == "openai"
    assert genai.attributes["gen_ai.usage.output_tokens"] == 3
    assert "error.type" not in genai.attributes


def test_a_silent_provider_leaves_only_the_root(chosen):
    assert set(told(chosen, served_story(), silent={"openai"})) == {"ChatCompletion:"}
    assert len(told(chosen, served_story(), silent={"gemini"})) == 3


def test_a_failed_attempt_is_an_error_on_all_its_spans_with_a_message(chosen):
    story = served_story()
    story.attempts[0].status = story.status = 503
    story.attempts[0].error_message = story.error_message = "openai error: overloaded"
    spans = told(chosen, story)
    assert {span.status for span in spans.values()} == {"ERROR"}
    assert spans["Model:"].attributes["tfy.error_message"] == "openai error: overloaded"
    assert spans["Model:"].attributes["tfy.error_type"] == "unknown"
    assert spans["POST"].attributes["http.response.status_code"] == 503


def test_a_rejected_request_leaves_a_root_alone(chosen):
    story = served_story()
    story.attempts, story.status, story.error_message = [], 403, "not authorized"
    spans = told(chosen, story)
    assert set(spans) == {"ChatCompletion:"}
    assert spans["ChatCompletion:"].status == "ERROR"
    assert "tfy.model.name" not in spans["ChatCompletion:"].attributes


def test_an_honoured_traceparent_is_the_roots_remote_parent(chosen):
    story = served_story()
    story.parent_span_id = 0xABC
    root = told(chosen, story)["ChatCompletion:"]
    assert root.parent == "0000000000000abc"
    assert root.trace_id == f"{story.trace_id:032x}"
    assert root.span_id == f"{story.root_span_id:016x}"


def tool_story(**step) -> Story:
    called = ToolStep(
        "sandbox-tools",
        "https://tools.example.com/mcp",
        "tools/call",
        started_ns=10 * MS,
        finished_ns=93 * MS,
        status=200,
        **{"primitive": "echo", "is_tool_error": False} | step,
    )
    story = served_story()
    story.kind, story.requested_model = kinds.MCP, "sandbox-tools"
    story.attempts, story.tools = [], [called]
    return story


def mcp_spans(chosen, story):
    """Both the root and its child begin with `MCP:`."""
    spans = map(seen, Teller(chosen).tell(story))
    return {span.attributes.get("tfy.span_type", "HTTP"): span for span in spans}


def test_a_tool_call_is_an_mcp_span_under_the_servers_root(chosen):
    spans = mcp_spans(chosen, tool_story())
    root, step, http = spans["MCPGateway"], spans["MCP"], spans["HTTP"]
    assert root.name == "MCP: sandbox-tools"
    assert step.name == "MCP: tools/call: echo (sandbox-tools)"
    assert http.name == "POST https://tools.example.com/mcp"
    assert step.parent == root.span_id
    assert http.parent == step.span_id
    prefix = "tfy.mcp_server."
    assert step.attributes[prefix + "method"] == "tools/call"
    assert step.attributes[prefix + "primitive_name"] == "echo"
    assert step.attributes[prefix + "metric.latency_in_ms"] == 83.0
    assert step.attributes[prefix + "is_tool_call_execution_error"] is False
    assert "tfy.model.name" not in root.attributes


def test_a_failed_tool_and_a_failed_protocol_are_told_apart(chosen):
    tool = mcp_spans(chosen, tool_story(is_tool_error=True))["MCP"]
    assert tool.attributes["tfy.mcp_server.is_tool_call_execution_error"] is True
    assert tool.status == "OK"
    failed = tool_story(error_code=-32603, error_message="Internal error")
    protocol = mcp_spans(chosen, failed)["MCP"]
    assert protocol.attributes["tfy.mcp_server.error_code"] == -32603
    assert protocol.status == "ERROR"


@pytest.mark.parametrize(
    ("kind", "root", "request_type"),
    [
        (kinds.EMBEDDING, "Embedding", "Embedding"),
        (kinds.COMPLETION, "Completion", "Completion"),
        (kinds.RERANK, "Rerank", "Rerank"),
        (kinds.RESPONSES, "ChatCompletion", "CreateModelResponse"),
        (kinds.RESPONSES.own(), "CreateModelResponse", "CreateModelResponse"),
    ],
)
def test_the_kind_of_request_names_the_root_and_the_request_type(chosen, kind, root, request_type):
    story = served_story()
    story.kind = kind
    spans = told(chosen, story)
    assert spans[f"{root}:"].attributes["tfy.span_type"] == root
    assert spans["Model:"].attributes["tfy.model.request_type"] == request_type


@pytest.mark.parametrize(("switch", "status"), [("error", "ERROR"), ("ok", "OK")])
def test_the_root_of_a_broken_stream_has_the_status_of_the_switch(switch, status):
    story = served_story()
    story.outcome = "stream_broken"
    story.error_message = story.attempts[0].error_message = "openai error: cut"
    spans = told(settings_with(f"--broken-root={switch}"), story)
    assert spans["ChatCompletion:"].status == status
    assert spans["Model:"].status == "ERROR"


@pytest.mark.parametrize("retries", ["model", "http"])
@pytest.mark.parametrize("timeouts", ["model", "http"])
def test_spans_are_counted_as_they_are_told(retries, timeouts):
    story = served_story()
    failed = [
        Attempt(CARD, 1, finished_ns=2, status=503, error_message="x"),
        Attempt(CARD, 3, finished_ns=4, status=408, error_message="x", is_retry=True),
        Attempt(CARD, 5, finished_ns=6, status=429, error_message="x", reached_provider=False),
    ]
    story.attempts = [*failed, *story.attempts]
    chosen = settings_with(f"--retry-spans={retries}", f"--timeout-spans={timeouts}")
    spans = Teller(chosen).tell(story)
    assert spans_of(story, chosen) == len(spans)
    assert spans_of(story, chosen, "openai") == len(spans) - 1
    assert len(spans) == 1 + (4 if retries == "model" else 3) + (3 if timeouts == "http" else 2)

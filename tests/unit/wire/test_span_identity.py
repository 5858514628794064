"""Role, provider, model and request of a span, from every source a gateway may give."""

import orjson
import pytest

from tfy_last9.model.trace import Role
from tfy_last9.wire.span_identity import (
    account_of,
    identity_of,
    metadata_of,
    model_of,
    provider_of,
    role_of,
    route_of,
)

PARENT = "00f067aa0ba902b7"


@pytest.mark.parametrize(
    ("span_type", "role"),
    [
        ("ChatCompletion", Role.ROOT),
        ("Completion", Role.ROOT),
        ("AgentResponse", Role.ROOT),
        ("Embedding", Role.ROOT),
        ("Rerank", Role.ROOT),
        ("MCPGateway", Role.ROOT),
        ("Model", Role.MODEL),
        ("model", Role.MODEL),
        ("LLM", Role.MODEL),
        ("Guardrail", Role.GUARDRAIL),
        ("MCP", Role.MCP),
    ],
)
@pytest.mark.parametrize("parent", [None, PARENT])
@pytest.mark.parametrize("kind", ["server", "client", "internal", "unspecified"])
def test_the_span_type_decides_whatever_parent_and_kind_say(span_type, role, parent, kind):
    """Kinds of gateway spans are not documented; a root has a parent where traceparent is honoured."""
    assert role_of(parent, kind, "", {"tfy.span_type": span_type}) is role


@pytest.mark.parametrize(("parent", "role"), [(None, Role.ROOT), (PARENT, Role.OTHER)])
def test_a_span_type_of_tomorrow_is_a_root_only_without_a_parent(parent, role):
    assert role_of(parent, "server", "", {"tfy.span_type": "BatchJob"}) is role


def test_the_call_to_a_provider_is_known_by_its_name_or_attributes():
    assert role_of(PARENT, "client", "POST https://api.openai.com/v1", {}) is Role.HTTP
    assert role_of(PARENT, "unspecified", "POST", {}) is Role.HTTP
    assert role_of(PARENT, "client", "fetch", {"http.request.method": "POST"}) is Role.HTTP
    assert role_of(PARENT, "internal", "route", {}) is Role.OTHER


@pytest.mark.parametrize("key", ["gen_ai.provider.name", "gen_ai.system", "gen_ai.request.model"])
def test_genai_alone_marks_a_model_span(key):
    assert role_of(PARENT, "client", "chat gpt-4o", {key: "openai"}) is Role.MODEL
    assert role_of(PARENT, "internal", "chat gpt-4o", {key: "openai"}) is Role.MODEL
    assert role_of(None, "client", "chat gpt-4o", {key: "openai"}) is Role.MODEL


def test_a_genai_span_that_takes_the_request_is_the_root():
    assert role_of(None, "server", "POST /v1/chat", {"gen_ai.request.model": "m"}) is Role.ROOT


def test_a_genai_operation_that_calls_no_model_is_no_model_span():
    agent = {"gen_ai.operation.name": "invoke_agent", "gen_ai.provider.name": "openai"}
    assert role_of(PARENT, "internal", "invoke_agent x", agent) is Role.OTHER


FQN = "acme:openai:openai-main:model:gpt-4o-mini"


@pytest.mark.parametrize(
    ("attributes", "provider"),
    [
        ({"tfy.model.fqn": FQN, "gen_ai.provider.name": "anthropic"}, "openai"),
        ({"tfy.model.fqn": "acme:google-vertex:v:model:g"}, "vertex"),
        (
            {
                "tfy.model.fqn": "acme:virtual-model:prod:model:chat",
                "tfy.model.request_url": "https://api.anthropic.com/v1/messages",
            },
            "anthropic",
        ),
        (
            {"tfy.model.fqn": "acme:virtual-model:prod:model:chat", "tfy.model.name": "prod/chat"},
            None,
        ),
        (
            {"tfy.model.request_url": "https://x.openai.azure.com/y", "gen_ai.system": "z"},
            "azure-openai",
        ),
        ({"tfy.model.request_url": "https://llm.internal/v1", "gen_ai.system": "openai"}, "openai"),
        ({"gen_ai.provider.name": "gcp.gemini", "gen_ai.system": "openai"}, "gemini"),
        ({"gen_ai.system": "aws.bedrock"}, "bedrock"),
        ({"tfy.model.name": "groq/llama"}, "groq"),
        ({"tfy.model.name": "my-account/llama"}, "my-account"),
        ({"tfy.model.name": "no-slash"}, None),
        ({"server.address": "api.anthropic.com"}, "anthropic"),
        ({}, None),
    ],
)
def test_the_provider_comes_from_the_most_trustworthy_source(attributes, provider):
    assert provider_of(Role.MODEL, "Model: x", attributes) == provider


def test_the_host_of_a_http_span_may_stand_in_its_name_only():
    name = "POST https://api.anthropic.com/v1/messages"
    assert provider_of(Role.HTTP, name, {}) == "anthropic"


def test_a_root_does_not_take_an_account_for_a_provider():
    """Its Model child knows better: `openai-main` beside `openai` would be a provider of its own."""
    assert provider_of(Role.ROOT, "ChatCompletion", {"tfy.model.name": "openai-main/gpt"}) is None


def test_a_broken_address_says_nothing():
    assert provider_of(Role.HTTP, "x", {"url.full": "https://[::1/x"}) is None


def test_account_and_model_come_from_the_name_else_from_the_fqn():
    assert account_of({"tfy.model.name": "openai-main/gpt", "tfy.model.fqn": FQN}) == "openai-main"
    assert account_of({"tfy.model.fqn": FQN}) == "openai-main"
    assert account_of({}) is None
    assert model_of({"tfy.model.name": "openai-main/gpt"}) == "openai-main/gpt"
    assert model_of({"tfy.model.fqn": FQN}) == "openai-main/gpt-4o-mini"
    assert model_of({"tfy.model.fqn": "acme:virtual-model:prod:model:chat"}) is None
    assert model_of({"gen_ai.request.model": "gpt", "gen_ai.response.model": "gpt-1"}) == "gpt"
    assert model_of({"gen_ai.response.model": "gpt-1"}) == "gpt-1"
    assert route_of({"tfy.request.model_name": "prod/chat-default"}) == "prod/chat-default"


PAIRS = {"run_id": "r-42", "request_id": "r-42.7"}
OTLP = [{"key": key, "value": {"stringValue": value}} for key, value in PAIRS.items()]


@pytest.mark.parametrize(
    "attributes",
    [
        {"tfy.request.metadata": orjson.dumps(PAIRS).decode()},
        {"tfy.request.metadata": orjson.dumps(orjson.dumps(PAIRS).decode()).decode()},
        {"tfy.request.metadata": PAIRS},
        {"tfy.request.metadata": OTLP},
        {"tfy.request.metadata": {"values": OTLP}},
        {"tfy.request.metadata": orjson.dumps(OTLP).decode()},
        {f"tfy.request.metadata.{key}": value for key, value in PAIRS.items()},
    ],
)
def test_metadata_is_read_in_every_encoding(attributes):
    assert metadata_of(attributes) == PAIRS


@pytest.mark.parametrize("value", [None, "", "run_id=r-42", "[1, 2]", 7, [], "null"])
def test_unreadable_metadata_is_no_metadata(value):
    assert metadata_of({"tfy.request.metadata": value}) == {}


@pytest.mark.parametrize(
    ("message", "role"),
    [
        ("Rate limit exceeded for model: a/b with rule: guests", Role.OTHER),
        ("Budget exceeded for model: a/b with rule: trial", Role.OTHER),
        ("openai error: Rate limit reached.", Role.MODEL),
        ("", Role.MODEL),
    ],
)
def test_a_target_that_the_gateways_own_limit_kept_from_being_asked_is_no_call(message, role):
    attributes = {"tfy.span_type": "Model", "tfy.error_message": message}
    assert role_of(PARENT, "internal", "Model: a/b", attributes) is role
    assert identity_of(PARENT, "internal", "Model: a/b", attributes).role is role
    root = attributes | {"tfy.span_type": "ChatCompletion"}
    assert role_of(None, "server", "ChatCompletion: a/b", root) is Role.ROOT

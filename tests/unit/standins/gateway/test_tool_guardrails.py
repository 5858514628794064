"""Guardrails around tool calls: before the call on its arguments, after it on its result."""

import json

import pytest
from gateway_world import request, world

PATH = "/mcp/v1/{server}/mcp"
CONFIG = """
type: provider-account/guardrail-config-group
name: safety
integrations:
  - type: integration/guardrail-config/sandbox
    name: secrets
    operation: {operation}
    config: {{pattern: "sk-[0-9]+"}}
---
type: gateway-guardrails-config
name: guardrails
rules: [{{id: tools, {hook}: [safety/secrets]}}]
"""
PRE, POST = "mcp_tool_pre_invoke_guardrails", "mcp_tool_post_invoke_guardrails"


def call(text="sk-1", *, server="sandbox-tools", **headers):
    """Open a session and call `echo`."""

    def rpc(method, **params):
        return {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}

    def calling(answer):
        session = answer.headers["mcp-session-id"]
        body = rpc("tools/call", name="echo", arguments={"text": text})
        accept = "application/json, text/event-stream"
        given = {"accept": accept, "mcp_session_id": session} | headers
        return request(PATH.format(server=server), body, **given)

    return (
        request(PATH.format(server=server), rpc("initialize", protocolVersion="2025-11-25")),
        calling,
    )


def steps(seen):
    """Give the names of the spans of the call, the root left out."""
    return [span.name.split(":")[0] + ":" for span in seen.of(1) if span.parent]


def test_a_refused_call_is_never_made(tmp_path):
    config = CONFIG.format(operation="validate", hook=PRE)
    seen = world(tmp_path, *call(), config=config)
    answer = seen.answers[1]
    assert answer.status == 400
    assert answer.json["error"]["type"] == "guardrail_checks_failed"
    (check,) = answer.json["guardrail_checks"]["mcp_tool_pre_invoke_guardrails"]
    assert check["guardrail_integration"] == "safety/secrets"
    (guardrail,) = seen.of(1, "Guardrail")
    assert guardrail.attributes["tfy.guardrail.applied_on_entity.scope"] == "mcp_tool_pre_invoke"
    assert guardrail.attributes["tfy.guardrail.applied_on_entity.type"] == "mcp_server"
    assert not seen.of(1, "MCP")
    (root,) = seen.of(1, "MCPGateway")
    assert (root.status, root.attributes["http.response.status_code"]) == ("ERROR", 400)
    assert root.attributes["tfy.triggered_guardrail_fqns"] == ["safety/secrets"]


def test_a_refused_result_is_not_passed_back(tmp_path):
    config = CONFIG.format(operation="validate", hook=POST)
    seen = world(tmp_path, *call(), config=config)
    assert seen.answers[1].status == 400
    assert "sk-1" not in seen.answers[1].text.replace("sk-[0-9]+", "")
    (step,) = seen.of(1, "MCP")
    assert step.status == "OK", "the tool did its work"
    assert steps(seen) == ["MCP:", "POST https:", "Guardrail:", "POST https:"]


@pytest.mark.parametrize("server", ["sandbox-tools", "sandbox-search"])
@pytest.mark.parametrize("hook", [PRE, POST])
def test_arguments_and_results_can_be_changed_in_json_and_in_events(tmp_path, hook, server):
    config = CONFIG.format(operation="mutate", hook=hook)
    answer = world(tmp_path, *call("key sk-1", server=server), config=config).answers[1]
    document = answer.events[0] if answer.text.startswith("event:") else answer.json
    assert document["result"]["content"][0]["text"] == "echo: key [redacted]"
    length = answer.headers["content-length"]
    assert int(length) == len(answer.text.encode())


def test_what_a_guardrail_does_not_find_passes_both_hooks(tmp_path):
    config = CONFIG.format(operation="validate", hook=PRE)
    asked = {"x_tfy_guardrails": json.dumps({POST: ["safety/secrets"]})}
    seen = world(tmp_path, *call("hello", **asked), config=config)
    assert seen.answers[1].status == 200
    assert [
        (span.attributes["tfy.guardrail.applied_on_entity.scope"], span.status)
        for span in seen.of(1, "Guardrail")
    ] == [("mcp_tool_pre_invoke", "OK"), ("mcp_tool_post_invoke", "OK")]


def test_other_requests_of_a_session_are_not_asked_about(tmp_path):
    config = CONFIG.format(operation="validate", hook=PRE)
    seen = world(tmp_path, *call(), config=config)
    assert seen.answers[0].status == 200
    assert not seen.of(0, "Guardrail")

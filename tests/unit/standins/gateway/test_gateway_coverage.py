"""The page that sets exported traces beside documented ones shows what is really exported."""

import re
from pathlib import Path

import pytest
from gateway_world import CHAT, request, world

from tfy_last9.standins.providers.vendors import Speed

PAGE = Path(__file__).parents[4] / "docs" / "gateway-coverage.md"
ROW = re.compile(r"^\| (.+?) \| (.+?) \|$", re.MULTILINE)
METADATA = '{"run_id":"r42"}'


def shown(title: str) -> list[tuple[str, str]]:
    """Give the rows of a table of the page, without its head."""
    section = PAGE.read_text().split(title, 1)[1].split("\n\n")[1]
    return ROW.findall(section)[1:]


def tree(spans, parent=""):
    """Give spans with their depth, children after their parent."""
    for span in spans:
        if span.parent == parent:
            yield 0, span
            yield from ((depth + 1, child) for depth, child in tree(spans, span.span_id))


def stream(tmp_path):
    asked = request("/chat/completions", CHAT | {"stream": True}, x_tfy_metadata=METADATA)
    return world(tmp_path, asked).spans


def tool_call(tmp_path):
    def rpc(method, **params):
        return {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}

    path = "/mcp/v1/sandbox-tools/mcp"
    call = rpc("tools/call", name="echo", arguments={"text": "hi"})
    opening = request(path, rpc("initialize", protocolVersion="2025-11-25"))

    def with_session(answer):
        session = answer.headers["mcp-session-id"]
        return request(path, call, mcp_session_id=session, x_tfy_metadata=METADATA)

    spans = world(tmp_path, opening, with_session).spans
    return [span for span in spans if span.trace_id == spans[-1].trace_id]


def fallback(tmp_path):
    asked = request("/chat/completions", CHAT | {"model": "sandbox/chat-default"})
    return world(tmp_path, asked, faults=["provider_down:openai"]).spans


def rate_limit(tmp_path):
    rule = "{id: guests, limit_to: 0, unit: requests_per_minute}"
    config = f"type: gateway-rate-limiting-config\nname: limits\nrules: [{rule}]"
    return world(tmp_path, request("/chat/completions", CHAT), config=config).spans


GUARDED = """
type: provider-account/guardrail-config-group
name: safety
integrations:
  - type: integration/guardrail-config/sandbox
    name: secrets
    operation: validate
    config: {pattern: sky, latency_ms: 20}
---
type: gateway-guardrails-config
name: guardrails
rules: [{id: all, llm_input_guardrails: [safety/secrets]}]
"""


def guardrail_block(tmp_path):
    slow = Speed(5.0)  # so that the model is still at it when the guardrail has made up its mind
    return world(tmp_path, request("/chat/completions", CHAT), config=GUARDED, speed=slow).spans


@pytest.mark.parametrize(
    ("title", "exported"),
    [
        ("A plain stream", stream),
        ("An MCP tool call", tool_call),
        ("A fallback that saves a request", fallback),
        ("A rate limit of the gateway", rate_limit),
        ("A guardrail that refuses an input", guardrail_block),
    ],
)
def test_the_tables_show_the_exported_trace(tmp_path, title, exported):
    spans = iter(list(tree(exported(tmp_path))))
    span = None
    for documented, cell in shown(title):
        value = cell.strip("└ ").strip("`")
        attribute = documented.strip("`")
        if "`," in documented:  # a span
            depth, span = next(spans)
            assert cell == "└ " * depth + f"`{span.name}` {span.kind} {span.status}"
        elif value == "…":
            assert span.attributes[attribute] > 0
        else:
            assert str(span.attributes[attribute]) == value, attribute
    assert next(spans, None) is None

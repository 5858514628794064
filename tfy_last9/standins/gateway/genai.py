"""Spans by OpenTelemetry's GenAI conventions: beside TrueFoundry's attributes, or without them."""

from __future__ import annotations

from tfy_last9.standins.gateway.attributes import Value
from tfy_last9.standins.gateway.story import Attempt, Story, ToolStep

FAILED_FROM = 400
OPERATIONS = {"Embedding": "embeddings", "Completion": "text_completion"}
"""`gen_ai.operation.name` by root type; chat otherwise."""
PATHS = {
    "Completion": "/completions",
    "Embedding": "/embeddings",
    "Messages": "/messages",
    "CreateModelResponse": "/responses",
}


def operation(story: Story) -> str:
    """Name what the model is asked to do."""
    return OPERATIONS.get(story.kind.span_type, "chat")


def root_name(story: Story) -> str:
    """Name the root as HTTP servers do: by method and route."""
    return f"POST {PATHS.get(story.kind.request_type, '/chat/completions')}"


def span_name(story: Story, attempt: Attempt) -> str:
    """Name the span of an attempt."""
    return f"{operation(story)} {attempt.card.model}"


def root(story: Story) -> dict[str, Value | None]:
    """Give the attributes of a root that knows nothing of TrueFoundry.

    The conventions have no place for what a client says about its request: labels stand under the names
    that the client gave them.
    """
    failed = story.error_message is not None
    return {
        **story.metadata,
        "http.request.method": "POST",
        "http.route": root_name(story).split(" ", 1)[1],
        "http.response.status_code": story.status,
        "error.type": str(story.status) if failed else None,
    }


def model(story: Story, attempt: Attempt) -> dict[str, Value | None]:
    """Give the attributes of an attempt."""
    sampling = {
        f"gen_ai.request.{key}": value
        for key, value in story.parameters.items()
        if isinstance(value, (int, float))
    }
    failed = attempt.status is None or attempt.status >= FAILED_FROM
    reason = attempt.finish_reason
    return {
        **sampling,
        "gen_ai.operation.name": operation(story),
        "gen_ai.provider.name": attempt.card.provider,
        "gen_ai.request.model": attempt.card.model,
        "gen_ai.response.model": attempt.served_model,
        "gen_ai.response.id": attempt.answer_id,
        "gen_ai.response.finish_reasons": [reason] if reason else None,
        "gen_ai.usage.input_tokens": attempt.input_tokens,
        "gen_ai.usage.output_tokens": attempt.output_tokens,
        "server.address": attempt.card.of.base_url.split("/")[2],
        "error.type": str(attempt.status) if failed else None,
    }


def tool(step: ToolStep) -> dict[str, Value | None]:
    """Give the attributes of a request to an MCP server."""
    calls = step.method == "tools/call"
    return {
        "mcp.method.name": step.method,
        "gen_ai.operation.name": "execute_tool" if calls else None,
        "gen_ai.tool.name": step.primitive if calls else None,
        "error.type": str(step.error_code) if step.error_code is not None else None,
    }

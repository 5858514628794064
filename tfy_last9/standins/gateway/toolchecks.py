"""Guardrails around a tool call: on the arguments before it is made, on the result after it.

The hooks' names are documented; their refusal is not on public record and wears the envelope of the
model's hooks. A refused call is never made: it has no MCP span.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from tfy_last9.standins.asgi import Scope
from tfy_last9.standins.gateway import envelope, guarding
from tfy_last9.standins.gateway.policy import guardrails
from tfy_last9.standins.gateway.policy.config import GUARDRAIL_HOOKS, Caller, Config, Guardrail
from tfy_last9.standins.gateway.policy.guardrails import Result
from tfy_last9.standins.gateway.story import Story

PRE, POST = "mcp_tool_pre_invoke", "mcp_tool_post_invoke"
WORDS = {PRE: "MCP Tool Pre Invoke", POST: "MCP Tool Post Invoke"}

Texts = Callable[[object], Iterable[str]]
Redact = Callable[[Guardrail, Any], Any]


@dataclass(frozen=True, slots=True)
class ToolChecks:
    """The guardrails of one request to an MCP server."""

    story: Story
    pre: tuple[Guardrail, ...]
    post: tuple[Guardrail, ...]

    async def before(self, message: dict[str, Any]) -> dict[str, Any]:
        """Ask about the arguments of a call; gives the message to pass on; raises Blocked."""
        params = message.get("params")
        if not isinstance(params, dict):
            return message
        given = params.get("arguments")
        found = await self._ask(
            *(PRE, self.pre, given, guardrails.every_text, guardrails.redacted_everywhere)
        )
        return message if found is given else message | {"params": params | {"arguments": found}}

    async def after(self, document: dict[str, Any]) -> dict[str, Any]:
        """Ask about the result of a call; gives the answer to pass back; raises Blocked."""
        result = document.get("result")
        found = await self._ask(POST, self.post, result, guardrails.texts, guardrails.redacted)
        return document if found is result else document | {"result": found}

    async def _ask(
        self, hook: str, asked: Iterable[Guardrail], document: Any, texts: Texts, redact: Redact
    ) -> Any:
        """Ask one after the other, each about what the one before has left."""
        for guardrail in asked:
            verdict = await guarding.ask(self.story, guardrail, texts(document), hook)
            if verdict.blocks:
                text = guardrails.message(WORDS[hook], [verdict])
                raise envelope.blocked_by_guardrails(hook, text, [verdict.document()])
            if verdict.result is Result.MUTATE:
                document = redact(guardrail, document)
        return document


def checks(
    config: Config, scope: Scope, server: str, caller: Caller, story: Story
) -> ToolChecks | None:
    """Give the guardrails of a request to an MCP server; None if there are none."""
    asked = guarding.asked_for(config, scope, server, caller)
    pre, post = (asked.get(hook, ()) for hook in GUARDRAIL_HOOKS[2:])
    return ToolChecks(story, pre, post) if pre or post else None

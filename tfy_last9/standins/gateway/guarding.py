"""Asks guardrails at the right time: mutations before the model, validations beside it, outputs after.

What a blocked request's model call looks like in the real gateway's trace is not on public record: here
the call is given up, and its spans are neither Ok nor Error.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from tfy_last9.standins.asgi import Scope, header
from tfy_last9.standins.gateway import envelope
from tfy_last9.standins.gateway.client import Client
from tfy_last9.standins.gateway.policy import guardrails
from tfy_last9.standins.gateway.policy.config import (
    GUARDRAIL_HOOKS,
    Caller,
    Config,
    Guardrail,
    Operation,
)
from tfy_last9.standins.gateway.policy.guardrails import Result, Verdict
from tfy_last9.standins.gateway.story import GuardrailStep, Story

HEADER = b"x-tfy-guardrails"
GIVEN_UP = "given up: a guardrail refused the request"


@dataclass(frozen=True, slots=True)
class Checks:
    """The guardrails of one request."""

    story: Story
    inputs: tuple[Guardrail, ...]
    outputs: tuple[Guardrail, ...]
    last_only: bool = False

    async def before(self, body: dict[str, Any]) -> dict[str, Any]:
        """Let the mutating input guardrails change the body, one after the other; raises Blocked."""
        for guardrail in _mutating(self.inputs):
            body = await self._mutate(guardrail, body, "Input")
        return body

    def beside(self, body: dict[str, Any]) -> asyncio.Task[None] | None:
        """Start the validating input guardrails, all at once; None if there are none."""
        validating = _validating(self.inputs)
        if not validating:
            return None
        return asyncio.create_task(self._validate(validating, body, "Input"))

    async def after(self, document: dict[str, Any]) -> dict[str, Any]:
        """Ask the output guardrails, validating ones first; raises Blocked."""
        await self._validate(_validating(self.outputs), document, "Output")
        for guardrail in _mutating(self.outputs):
            document = await self._mutate(guardrail, document, "Output")
        return document

    async def after_stream(self, text: str) -> None:
        """Ask the validating output guardrails about a stream that is held back; raises Blocked."""
        await self._validate(_validating(self.outputs), {"content": text}, "Output")

    async def _validate(self, asked: Iterable[Guardrail], document: object, hook: str) -> None:
        verdicts = await asyncio.gather(*(self._ask(one, document, hook) for one in asked))
        _enforce(hook, verdicts)

    async def _mutate(
        self, guardrail: Guardrail, document: dict[str, Any], hook: str
    ) -> dict[str, Any]:
        verdict = await self._ask(guardrail, document, hook)
        _enforce(hook, [verdict])
        changes = verdict.result is Result.MUTATE
        return guardrails.redacted(guardrail, document) if changes else document

    async def _ask(self, guardrail: Guardrail, document: object, hook: str) -> Verdict:
        only_last = self.last_only and hook == "Input"
        looked_at = guardrails.scope(document, last_only=only_last)
        texts = guardrails.texts(looked_at)
        return await ask(self.story, guardrail, texts, f"llm_{hook.lower()}")


async def ask(story: Story, guardrail: Guardrail, texts: Iterable[str], hook: str) -> Verdict:
    """Ask one guardrail about texts, and note it."""
    started_ns = time.monotonic_ns()
    await asyncio.sleep(guardrail.latency_s)
    verdict = guardrails.judge(guardrail, texts)
    finished_ns = time.monotonic_ns()
    story.applied.guardrails.append(GuardrailStep(verdict, hook, started_ns, finished_ns))
    stages = story.applied.stages_ns
    stages["guardrails"] = stages.get("guardrails", 0) + finished_ns - started_ns
    return verdict


def _validating(asked: Iterable[Guardrail]) -> list[Guardrail]:
    return [one for one in asked if one.operation is Operation.VALIDATE]


def _mutating(asked: Iterable[Guardrail]) -> list[Guardrail]:
    return [one for one in asked if one.operation is Operation.MUTATE]


def _enforce(hook: str, verdicts: Iterable[Verdict]) -> None:
    failed = [verdict for verdict in verdicts if verdict.blocks]
    if failed:
        documents = [verdict.document() for verdict in failed]
        text = guardrails.message(hook, failed)
        raise envelope.blocked_by_guardrails(hook.lower(), text, documents)


def asked_for(
    config: Config, scope: Scope, target: str, caller: Caller
) -> Mapping[str, tuple[Guardrail, ...]]:
    """Find the guardrails of a request by hook, by rule and by header; `target` is a model or a server."""
    asked = header(scope, HEADER)
    if not config.guardrail_rules and asked is None:
        return {}
    given = _given(config, asked)
    rule = next((rule for rule in config.guardrail_rules if rule.when.holds(caller, target)), None)
    by_rule = rule.asked if rule is not None else {}
    return {
        hook: tuple(dict.fromkeys((*by_rule.get(hook, ()), *given[hook])))
        for hook in GUARDRAIL_HOOKS
    }


def checks(config: Config, scope: Scope, model: str, caller: Caller, story: Story) -> Checks | None:
    """Give the guardrails of a request to a model; None if there are none."""
    asked = asked_for(config, scope, model, caller)
    inputs, outputs = (asked.get(hook, ()) for hook in GUARDRAIL_HOOKS[:2])
    if not inputs and not outputs:
        return None
    last_only = header(scope, b"x-tfy-guardrails-scope") == "last"
    return Checks(story, inputs, outputs, last_only=last_only)


def _given(config: Config, text: str | None) -> dict[str, list[Guardrail]]:
    """Read `x-tfy-guardrails`; raises the 400 for one that cannot be read."""
    found: dict[str, list[Guardrail]] = {hook: [] for hook in GUARDRAIL_HOOKS}
    if text is None:
        return found
    try:
        for hook, names in orjson.loads(text).items():
            found[hook] = [config.guardrails[name] for name in names]
    except (orjson.JSONDecodeError, AttributeError, TypeError):
        raise envelope.bad_request("x-tfy-guardrails must be a JSON object of lists") from None
    except KeyError as missing:
        raise envelope.bad_request(f"x-tfy-guardrails: unknown guardrail {missing}") from None
    return found


async def alongside(
    checking: asyncio.Task[None], work: Coroutine[Any, Any, None], client: Client
) -> None:
    """Run a model call beside the input checks; nothing is sent before they are through."""
    client.gate = checking
    working = asyncio.create_task(work)
    try:
        await asyncio.wait({checking, working}, return_when=asyncio.FIRST_COMPLETED)
        if checking.done():
            checking.result()
        await working
    finally:
        for task in (checking, working):
            task.cancel(GIVEN_UP)
        await asyncio.gather(checking, working, return_exceptions=True)

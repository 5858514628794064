"""What a target sends, request by request: one call, a conversation of several turns, or an MCP session.

A script is asked for its next request, and told what came back. No sockets, no clock.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Protocol

from tfy_last9.model.check import CheckKind
from tfy_last9.model.conversation import ANY_TOOL, FollowUp, McpCall, McpScript, ToolResult
from tfy_last9.model.scenario import Api, Message, Prompt, Target
from tfy_last9.wire import chat, embeddings, gemini, mcp, messages, plain_http, responses
from tfy_last9.wire.facts import AnswerFacts, Said
from tfy_last9.wire.mcp import McpFacts
from tfy_last9.wire.outgoing import ANY, EVENTS, JSON, Outgoing

NO_TOOL_CALL = "no_tool_call"
"""Why a turn of tool results cannot be sent: the model called none of the tools."""


class Unsendable(Exception):
    """The next turn has nothing to say; its text is the `error_type` of the row."""


class Script(Protocol):
    """The requests of one arrival, in order."""

    def outgoing(self) -> Outgoing:
        """Return the next request. Raises `Unsendable`."""

    def take(self, headers: Mapping[str, str], facts: AnswerFacts) -> None:
        """Take note of a good answer to it."""


def script_of(target: Target, prompt: Prompt) -> Script:
    """Return what an arrival at this target does."""
    if target.api is Api.MCP:
        assert target.mcp is not None
        return _McpSession(target, target.mcp)
    return _Conversation(target, prompt)


def first_request(target: Target, prompt: Prompt) -> Outgoing:
    """Return the request that opens an arrival: what a probe sends."""
    return script_of(target, prompt).outgoing()


def not_sent(target: Target, turn: int) -> Outgoing:
    """Return what stands for a planned request that was never made: it says what would have been asked."""
    operation, tool = target.path if target.api is Api.HTTP else None, None
    if target.mcp is not None:
        operation, call = target.mcp.operations[turn]
        tool = None if call is None else call.tool
    return Outgoing("", {}, AnswerFacts, stream=False, operation=operation, tool=tool)


class _Conversation:
    """Turns of one chat, each with all that was said before; most have a single one."""

    def __init__(self, target: Target, prompt: Prompt) -> None:
        self._target = target
        self._prompt = prompt
        self._follow_ups = iter(prompt.follow_ups)
        self._said = Said()
        self._opened = False

    def outgoing(self) -> Outgoing:
        """Return the opening, then one request per follow-up."""
        if self._opened:
            self._go_on(next(self._follow_ups))
        self._opened = True
        is_read = bool(self._prompt.follow_ups) or reads_words(self._target)
        return _request(self._target, self._prompt, is_read=is_read)

    def take(self, headers: Mapping[str, str], facts: AnswerFacts) -> None:
        """Remember what the model said, where a turn follows."""
        del headers
        if self._prompt.follow_ups:
            self._said = facts.said()

    def _go_on(self, follow_up: FollowUp) -> None:
        said, self._said = self._said, Said()
        added: list[Message] = []
        if said.text or said.tool_calls:
            added.append(Message("assistant", said.text, tool_calls=said.tool_calls))
        if said.tool_calls:
            # Providers refuse a conversation in which a tool call was left without a result.
            added.append(Message("tool", "", tool_results=_results(follow_up, said)))
        if follow_up.text is not None:
            added.append(Message("user", follow_up.text, follow_up.image))
        self._prompt = replace(self._prompt, messages=(*self._prompt.messages, *added))
        if follow_up.tool_results and not said.tool_calls:
            raise Unsendable(NO_TOOL_CALL)


def reads_words(target: Target) -> bool:
    """Tell whether a check looks at what an answer says, so that it must be kept.

    Tokens of a stream prove that it is not empty; of a whole answer only its words do.
    """
    kinds = {check.kind for check in target.checks}
    if kinds & {CheckKind.REGEX, CheckKind.JSON_SCHEMA}:
        return True
    return CheckKind.NON_EMPTY in kinds and not target.stream


def _results(follow_up: FollowUp, said: Said) -> tuple[ToolResult, ...]:
    known = follow_up.tool_results
    return tuple(
        ToolResult(call.id, call.name, known.get(call.name, known.get(ANY_TOOL, "{}")))
        for call in said.tool_calls
    )


def _request(target: Target, prompt: Prompt, *, is_read: bool) -> Outgoing:
    sent = _BODIES[target.api](target, prompt)
    path = sent.path if target.path is None else target.path
    return replace(sent, path=path, is_kept=is_read)


def _chat(target: Target, prompt: Prompt) -> Outgoing:
    body = chat.request_body(target, prompt)
    return Outgoing(chat.PATH, body, chat.ChatFacts, target.stream, _accepted(target))


def _responses(target: Target, prompt: Prompt) -> Outgoing:
    body, headers = responses.request_body(target, prompt), responses.request_headers(target)
    facts = responses.ResponsesFacts
    return Outgoing(responses.PATH, body, facts, target.stream, _accepted(target), headers)


def _messages(target: Target, prompt: Prompt) -> Outgoing:
    body, headers = messages.request_body(target, prompt), messages.request_headers()
    facts = messages.MessagesFacts
    return Outgoing(messages.PATH, body, facts, target.stream, _accepted(target), headers)


def _gemini(target: Target, prompt: Prompt) -> Outgoing:
    path = gemini.path(target.model, stream=target.stream)
    body = gemini.request_body(target, prompt)
    return Outgoing(path, body, gemini.GeminiFacts, target.stream, _accepted(target))


def _embeddings(target: Target, prompt: Prompt) -> Outgoing:
    expected = None if "input" in target.body else len(prompt.messages)
    facts = partial(embeddings.EmbeddingFacts, expected=expected)
    return Outgoing(embeddings.PATH, embeddings.request_body(target, prompt), facts, stream=False)


def _plain(target: Target, prompt: Prompt) -> Outgoing:
    assert target.path is not None  # the scenario file demands it
    body = plain_http.request_body(target, prompt)
    facts = plain_http.HttpFacts
    return Outgoing(target.path, body, facts, stream=False, accept=ANY, operation=target.path)


def _accepted(target: Target) -> str:
    return EVENTS if target.stream else JSON


_BODIES: Mapping[Api, Callable[[Target, Prompt], Outgoing]] = {
    Api.CHAT: _chat,
    Api.RESPONSES: _responses,
    Api.MESSAGES: _messages,
    Api.GEMINI: _gemini,
    Api.EMBEDDINGS: _embeddings,
    Api.HTTP: _plain,
}


class _McpSession:
    """Handshake, list and calls of one session."""

    def __init__(self, target: Target, script: McpScript) -> None:
        self._target = target
        self._script = script
        self._operations = enumerate(script.operations, start=1)
        self._session_id: str | None = None
        self._version: str | None = None

    def outgoing(self) -> Outgoing:
        """Return the next message; ids count up, as JSON-RPC asks for."""
        number, (method, call) = next(self._operations)
        expects_answer = method != mcp.INITIALIZED
        path = self._target.path or mcp.path(self._target.model)
        return Outgoing(
            path=path,
            body=self._body(number, method, call) | dict(self._target.body),
            new_facts=partial(McpFacts, request_id=number if expects_answer else None),
            stream=False,
            accept=mcp.ACCEPT,
            headers=mcp.session_headers(self._session_id, self._version),
            operation=method,
            tool=None if call is None else call.tool,
            is_kept=call is not None and reads_words(self._target),
        )

    def take(self, headers: Mapping[str, str], facts: AnswerFacts) -> None:
        """Remember the session and the revision that `initialize` settled on."""
        if isinstance(facts, McpFacts) and facts.protocol_version is not None:
            self._session_id = headers.get(mcp.SESSION_HEADER)
            self._version = facts.protocol_version

    def _body(self, number: int, method: str, call: McpCall | None) -> dict[str, object]:
        if call is not None:
            return mcp.call_body(number, call.tool, call.arguments)
        if method == mcp.INITIALIZE:
            return mcp.initialize_body(number, self._script.protocol_version)
        return mcp.initialized_body() if method == mcp.INITIALIZED else mcp.list_body(number)

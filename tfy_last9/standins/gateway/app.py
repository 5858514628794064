"""The gateway's HTTP surface: chat completions, models, readiness, and the sandbox's fault switch."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import orjson

from tfy_last9.standins.asgi import (
    ClientLeft,
    ClientWatch,
    Header,
    Receive,
    Scope,
    Send,
    carries_key,
    header,
    read_body,
    send_json,
)
from tfy_last9.standins.gateway import envelope, identifiers, own_storage, request
from tfy_last9.standins.gateway.catalogue import CARDS, VIRTUAL
from tfy_last9.standins.gateway.chat import Chat
from tfy_last9.standins.gateway.envelope import Rejection
from tfy_last9.standins.gateway.export import TraceExport
from tfy_last9.standins.gateway.fault_switch import FaultSwitch
from tfy_last9.standins.gateway.own_storage import OwnStorage
from tfy_last9.standins.gateway.settings import Settings
from tfy_last9.standins.gateway.story import OK, Story
from tfy_last9.standins.gateway.upstream import Upstream
from tfy_last9.standins.journal import Journal

SHORT_HAND_CHARACTERS = 100
CHAT_PATHS = frozenset({"/chat/completions", "/v1/chat/completions"})
MODEL_PATHS = frozenset({"/models", "/v1/models"})


class Gateway:
    """The ASGI app."""

    def __init__(
        self,
        settings: Settings,
        journal: Journal,
        upstream: Upstream,
        export: TraceExport,
        fault_switch: FaultSwitch,
    ) -> None:
        self._settings = settings
        self._journal = journal
        self._upstream = upstream
        self._export = export
        self._fault_switch = fault_switch
        self._storage = OwnStorage(settings.api_key)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Dispatch by path."""
        path, method = scope["path"], scope["method"]
        if path in CHAT_PATHS and method == "POST":
            await self._chat(scope, receive, send)
        elif path == "/":
            await send_json(send, OK, {"status": "ok"})
        elif path in MODEL_PATHS:
            await self._models(scope, send)
        elif path == own_storage.PATH and method == "POST":
            await self._storage.answer(scope, receive, send)
        elif path == "/sandbox/faults":
            await self._fault_switch.answer(scope, receive, send)
        else:
            await send_json(send, 404, envelope.not_found(method, path).document())

    async def _chat(self, scope: Scope, receive: Receive, send: Send) -> None:
        late = self._export.faults.strike("gateway_latency")
        if late is not None:  # before the gateway's own clock starts: no span knows of it
            await asyncio.sleep(late.delay_s or 0.0)
        story = self._begin(scope)
        try:
            raw = await read_body(receive)
            with ClientWatch(receive) as client:
                await self._answer(scope, raw, story, send)
            if client.left:
                _left(story)
        except ClientLeft:
            _left(story)
        finally:
            self._finish(story)

    def _begin(self, scope: Scope) -> Story:
        received_ns, wall_ns = time.monotonic_ns(), time.time_ns()
        trace_id, parent = identifiers.trace_id(wall_ns), None
        if self._settings.honour_traceparent:
            ids = identifiers.read_traceparent(header(scope, b"traceparent"))
            trace_id, parent = ids or (trace_id, None)
        return Story(trace_id, identifiers.span_id(), parent, received_ns, wall_ns - received_ns)

    async def _answer(self, scope: Scope, raw: bytes, story: Story, send: Send) -> None:
        chat = None
        try:
            request.authenticate(scope, self._settings.api_key)
            story.subject = request.SUBJECT
            story.metadata = request.read_metadata(scope)
            story.wants_trace = request.wants_trace(scope)
            body = request.parse_body(raw)
            _describe(story, body)
            admitted = request.admit(scope, body)
            story.streaming = admitted.streaming
            chat = Chat(story, admitted, self._upstream, send, (_target(story),))
            chat.hides_tokens = self._export.faults.strike("missing_tokens") is not None
            await chat.serve()
        except Rejection as rejection:
            _refused(story, rejection)
            if chat is not None and chat.started:
                story.status, story.outcome = OK, "stream_broken"
                await chat.break_off(rejection)
                return
            # The header names a trace, so it goes only where one will exist.
            headers = (_target(story),) if self._is_traced(story) else ()
            await send_json(send, rejection.status, rejection.document(), headers)

    def _is_traced(self, story: Story) -> bool:
        reached_a_model = bool(story.attempts)
        return story.wants_trace and (
            reached_a_model or story.status in self._settings.traced_rejections
        )

    def _finish(self, story: Story) -> None:
        story.finished_ns = time.monotonic_ns()
        self._journal.write("request", **story.journal_fields())
        if self._is_traced(story):
            self._storage.keep(story)
            self._export.submit(story)

    async def _models(self, scope: Scope, send: Send) -> None:
        if not carries_key(scope, self._settings.api_key):
            rejection = envelope.unauthorized()
            await send_json(send, rejection.status, rejection.document())
            return
        data = [
            {"id": card.name, "object": "model", "created": 0, "owned_by": card.account}
            for card in CARDS
        ]
        data += [
            {"id": name, "object": "model", "created": 0, "owned_by": name.split("/", 1)[0]}
            for name in VIRTUAL
        ]
        await send_json(send, OK, {"object": "list", "data": data})


def _target(story: Story) -> Header:
    value = identifiers.feedback_target(story.trace_id, story.root_span_id)
    return b"x-tfy-feedback-target-id", value.encode()


def _describe(story: Story, body: dict[str, Any]) -> None:
    """Note what the trace shows of a request, also if it is refused afterwards."""
    story.requested_model = body["model"]
    messages = body.get("messages")
    story.input_json = orjson.dumps({"messages": messages}).decode()
    last = messages[-1] if isinstance(messages, list) and messages else None
    text = last.get("content") if isinstance(last, dict) else None
    story.input_short = text[:SHORT_HAND_CHARACTERS] if isinstance(text, str) else ""
    story.parameters = {key: body[key] for key in request.PARAMETERS if key in body}


def _refused(story: Story, rejection: Rejection) -> None:
    story.status = rejection.status
    story.outcome = rejection.outcome
    story.error_message = rejection.message


def _left(story: Story) -> None:
    story.status, story.outcome = envelope.CLIENT_LEFT, "client_closed"
    story.error_message = "client closed the request"

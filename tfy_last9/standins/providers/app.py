"""The upstream endpoints: route, draw the answer, send each token at its due time, journal the truth.

Tokens are paced against absolute due times, so a late token does not delay the following ones. The
journal holds the instants at which the bytes were handed to the socket, not the planned ones.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

import orjson

from tfy_last9.standins.asgi import (
    EVENT_STREAM_HEADERS,
    ClientWatch,
    Receive,
    Scope,
    Send,
    carries_key,
    read_body,
    send_json,
)
from tfy_last9.standins.faults import FaultError, FaultSet, Owner, parse
from tfy_last9.standins.journal import Journal
from tfy_last9.standins.providers import answer
from tfy_last9.standins.providers.answer import Chunks, Plan
from tfy_last9.standins.providers.vendors import Vendor, route

ERROR_AFTER_S = 0.03
OVERLOADED, BROKEN = 503, 500
CLIENT_LEFT = 499


@dataclass(slots=True)
class Turn:
    """One request at a vendor and what was truly sent for it."""

    vendor: Vendor
    model: str
    k: int
    received_ns: int
    extra_s: float = 0.0
    first_sent_ns: int | None = None
    last_sent_ns: int | None = None
    chunks: int = 0
    status: int = CLIENT_LEFT
    faults: list[str] = field(default_factory=list)

    def sent_token(self) -> None:
        """Note that a content delta is being handed to the socket now."""
        now_ns = time.monotonic_ns()
        if self.first_sent_ns is None:
            self.first_sent_ns = now_ns
        self.last_sent_ns = now_ns
        self.chunks += 1

    async def until(self, due_s: float) -> None:
        """Wait for an instant given relative to the arrival, the latency fault included."""
        elapsed_s = (time.monotonic_ns() - self.received_ns) / 1e9
        await asyncio.sleep(max(0.0, due_s + self.extra_s - elapsed_s))


class Providers:
    """The ASGI app of the simulated providers."""

    def __init__(self, *, journal: Journal, seed: int, faults: FaultSet, api_key: str) -> None:
        self._journal = journal
        self._seed = seed
        self._faults = faults
        self._api_key = api_key
        self._counts: dict[str, int] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Dispatch by path."""
        path = scope["path"]
        if path == "/":
            await send_json(send, 200, {"status": "ok"})
        elif path == "/sandbox/faults":
            await self._change_faults(scope, receive, send)
        elif (found := route(path)) is not None and scope["method"] == "POST":
            await self._answer(found.vendor, found.model, receive, send)
        else:
            await send_json(send, 404, {"error": {"message": f"no such path: {path}"}})

    async def _change_faults(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not carries_key(scope, self._api_key):
            await send_json(send, 401, {"error": "the sandbox API key is needed"})
            return
        if scope["method"] == "PUT":
            try:
                faults = [parse(text) for text in orjson.loads(await read_body(receive))]
            except (FaultError, ValueError, TypeError, AttributeError) as error:
                await send_json(send, 400, {"error": str(error)})
                return
            mine = [fault for fault in faults if fault.owner is Owner.PROVIDERS]
            self._faults = FaultSet(mine, self._seed)
        await send_json(send, 200, [str(fault) for fault in self._faults.faults])

    async def _answer(
        self, vendor: Vendor, model: str | None, receive: Receive, send: Send
    ) -> None:
        received_ns = time.monotonic_ns()
        request = orjson.loads(await read_body(receive))
        k = self._counts.get(vendor.name, 0)
        self._counts[vendor.name] = k + 1
        turn = Turn(vendor, model or str(request.get("model")), k, received_ns)
        self._draw_faults(turn)
        try:
            with ClientWatch(receive):
                await self._respond(turn, request, send)
        finally:
            self._record(turn)

    def _draw_faults(self, turn: Turn) -> None:
        late = self._faults.strike("provider_latency", turn.vendor.name)
        if late is not None:
            turn.extra_s = late.delay_s or 0.0
            turn.faults.append(str(late))

    async def _respond(self, turn: Turn, request: dict[str, object], send: Send) -> None:
        down = self._faults.strike("provider_down", turn.vendor.name)
        failing = down or self._faults.strike("provider_errors", turn.vendor.name)
        if failing is not None:
            turn.faults.append(str(failing))
            status = BROKEN if down is None and turn.k % 2 else OVERLOADED
            await self._fail(turn, status, "The service is overloaded, please retry later.", send)
            return
        served = turn.vendor.served.get(turn.model)
        if served is None:
            await self._fail(turn, 404, f"The model {turn.model} does not exist.", send)
            return
        messages = request.get("messages")
        limit = request.get("max_tokens") or request.get("max_completion_tokens")
        planned = answer.plan(
            turn.vendor,
            seed=self._seed,
            k=turn.k,
            max_tokens=limit if isinstance(limit, int) else None,
            input_tokens=answer.count_input_tokens(messages if isinstance(messages, list) else []),
        )
        chunks = Chunks(f"chatcmpl-{turn.vendor.name}-{turn.k}", int(time.time()), served)
        if request.get("stream"):
            options = request.get("stream_options")
            with_usage = isinstance(options, dict) and bool(options.get("include_usage"))
            await _stream(turn, planned, chunks, with_usage=with_usage, send=send)
        else:
            await _whole(turn, planned, chunks, send)

    async def _fail(self, turn: Turn, status: int, message: str, send: Send) -> None:
        await turn.until(ERROR_AFTER_S)
        await send_json(send, status, turn.vendor.error_body(status, message))
        turn.status = status

    def _record(self, turn: Turn) -> None:
        self._journal.write(
            "answer",
            provider=turn.vendor.name,
            model=turn.model,
            k=turn.k,
            received_mono_ns=turn.received_ns,
            first_sent_mono_ns=turn.first_sent_ns,
            last_sent_mono_ns=turn.last_sent_ns,
            chunks=turn.chunks,
            status=turn.status,
            fault=",".join(turn.faults) or None,
        )


async def _stream(
    turn: Turn, planned: Plan, chunks: Chunks, *, with_usage: bool, send: Send
) -> None:
    await turn.until(max(0.0, planned.due_s[0] - answer.ROLE_LEAD_S))
    await send(
        {"type": "http.response.start", "status": 200, "headers": list(EVENT_STREAM_HEADERS)}
    )
    await _write(send, chunks.role())
    for token, due_s in zip(planned.tokens, planned.due_s, strict=True):
        await turn.until(due_s)
        turn.sent_token()
        await _write(send, chunks.token(token))
    await _write(send, chunks.finish(planned.finish_reason))
    if with_usage:
        await _write(send, chunks.usage(answer.usage(planned.input_tokens, len(planned.tokens))))
    await send({"type": "http.response.body", "body": answer.DONE})
    turn.status = 200


async def _write(send: Send, event: bytes) -> None:
    await send({"type": "http.response.body", "body": event, "more_body": True})


async def _whole(turn: Turn, planned: Plan, chunks: Chunks, send: Send) -> None:
    await turn.until(planned.due_s[-1])
    turn.sent_token()
    turn.chunks = 1
    message = {"role": "assistant", "content": "".join(planned.tokens)}
    document = {
        "id": chunks.answer_id,
        "object": "chat.completion",
        "created": chunks.created,
        "model": chunks.model,
        "choices": [{"index": 0, "message": message, "finish_reason": planned.finish_reason}],
        "usage": answer.usage(planned.input_tokens, len(planned.tokens)),
    }
    await send_json(send, 200, document)
    turn.status = 200

"""Send an answer: a stream piece by piece at its due times, or a whole body when it is complete."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any

from tfy_last9.standins.asgi import EVENT_STREAM_HEADERS, Send, WriteNow, send_json
from tfy_last9.standins.faults import FaultSet
from tfy_last9.standins.providers import answer
from tfy_last9.standins.providers.answer import Plan
from tfy_last9.standins.providers.dialects.dialect import Name, Writer
from tfy_last9.standins.providers.objects import Sound
from tfy_last9.standins.providers.route import Route
from tfy_last9.standins.providers.turn import Turn
from tfy_last9.standins.providers.vendors import Served

OK = 200
HEAD_LEAD_S = 0.04
"""What comes before the first token leaves this much earlier: it must not count as one."""


async def reply_with_text(
    turn: Turn,
    served: Served,
    found: Route,
    body: dict[str, Any],
    key: str,
    faults: FaultSet,
    send: Send,
    write_now: WriteNow,
) -> None:
    """Answer in the dialect of the route; raises BadRequest before anything was sent."""
    assert found.dialect is not None
    wish = found.dialect.wish(body, found.method)
    plan = answer.plan(served, wish, key=key)
    name = Name(f"{turn.vendor.name}-{turn.k}", int(time.time()), served.version)
    if wish.stream:
        writer = found.dialect.writer(plan, wish, name)
        stream = _Stream(turn, plan, writer, send, write_now)
        await stream.run(_Mishap.draw(faults, turn, plan, key))
    else:
        await turn.until(plan.pieces[-1].due_s if plan.pieces else served.speed.ttft_median_s)
        turn.sent_token()
        await send_json(send, OK, found.dialect.whole(plan, wish, name))
        turn.status = OK


class _Mishap:
    """What befalls a stream after so many pieces: a pause, an error event, or the end of the connection."""

    __slots__ = ("after", "cut", "error", "stall_s")

    def __init__(self, after: int) -> None:
        self.after = after
        self.stall_s = 0.0
        self.cut = False
        self.error = False

    @classmethod
    def draw(cls, faults: FaultSet, turn: Turn, plan: Plan, key: str) -> _Mishap | None:
        """Ask for each fault that streams are eligible for; None for an undisturbed stream."""
        struck = [faults.strike(name) for name in ("stream_stall", "stream_error", "stream_cut")]
        stall, error, cut = struck
        if not any(struck):
            return None
        turn.faults += [str(fault) for fault in struck if fault is not None]
        last = max(1, len(plan.pieces) - 1)
        found = cls(random.Random(f"{key}|mishap").randint(1, last))
        found.stall_s = (stall.delay_s or 0.0) if stall is not None else 0.0
        found.error, found.cut = error is not None, cut is not None
        return found


class _Stream:
    """One stream on its way out."""

    __slots__ = ("_plan", "_send", "_turn", "_write_now", "_writer")

    def __init__(
        self, turn: Turn, plan: Plan, writer: Writer, send: Send, write_now: WriteNow
    ) -> None:
        self._turn = turn
        self._plan = plan
        self._writer = writer
        self._send = send
        self._write_now = write_now

    async def run(self, mishap: _Mishap | None) -> None:
        """Send everything at its time; a stream that is cut ends without the end mark."""
        turn, pieces = self._turn, self._plan.pieces
        turn.plan(piece.due_s for piece in pieces)
        first_s = pieces[0].due_s if pieces else 0.0
        await turn.until(max(0.0, first_s - HEAD_LEAD_S) if first_s < 1 else 0.0)
        await self._send(
            {"type": "http.response.start", "status": OK, "headers": list(EVENT_STREAM_HEADERS)}
        )
        for event in self._writer.head():
            await self._write(event)
        for number, piece in enumerate(pieces):
            if mishap is not None and number == mishap.after and await self._befall(mishap):
                return
            await turn.until(piece.due_s, self._alive)
            event = self._writer.piece(piece)
            if event:
                turn.sent_token()
                await self._write(event)
        await self._finish()

    async def _befall(self, mishap: _Mishap) -> bool:
        """Let it happen; tells whether the stream is over."""
        if mishap.stall_s:
            self._turn.extra_s += mishap.stall_s
        if mishap.error:
            await self._end(self._writer.failure("The service is overloaded."))
        self._turn.status = OK
        return mishap.error or mishap.cut

    async def _finish(self) -> None:
        events = [event for event in self._writer.tail() if event]
        for event in events[:-1]:
            await self._write(event)
        await self._end(events[-1])
        self._turn.status = OK

    async def _alive(self) -> None:
        await self._write(self._writer.alive())

    async def _write(self, event: bytes) -> None:
        if not self._write_now(event):
            await self._send({"type": "http.response.body", "body": event, "more_body": True})

    async def _end(self, event: bytes) -> None:
        await self._send({"type": "http.response.body", "body": event})


async def reply_with_object(
    turn: Turn,
    served: Served,
    make: Callable[[dict[str, Any], str], object],
    body: dict[str, Any],
    *,
    key: str,
    send: Send,
) -> None:
    """Answer after the model's time with one document, or with sound."""
    found = make(body, served.version)
    speed = served.speed
    drawn_s = speed.ttft_median_s * random.Random(key).lognormvariate(0, speed.ttft_sigma)
    await turn.until(drawn_s)
    turn.sent_token()
    if isinstance(found, Sound):
        length = str(len(found.content)).encode()
        headers = [(b"content-type", found.media_type.encode()), (b"content-length", length)]
        await send({"type": "http.response.start", "status": OK, "headers": headers})
        await send({"type": "http.response.body", "body": found.content})
    else:
        await send_json(send, OK, found)
    turn.status = OK

"""The upstream endpoints: find the vendor, draw faults, wait for a place, answer, journal the truth."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import Any

import orjson

from tfy_last9.standins.asgi import (
    ClientWatch,
    Receive,
    Scope,
    Send,
    WriteNow,
    carries_key,
    header,
    read_body,
    send_json,
    write_now,
)
from tfy_last9.standins.faults import FaultError, FaultSet, Owner, parse
from tfy_last9.standins.journal import Journal
from tfy_last9.standins.providers import failing
from tfy_last9.standins.providers.capacity import Capacity, Full
from tfy_last9.standins.providers.failing import Failure
from tfy_last9.standins.providers.forms import read_form
from tfy_last9.standins.providers.objects import ANSWERS
from tfy_last9.standins.providers.pacing import Pacer
from tfy_last9.standins.providers.replying import reply_with_object, reply_with_text
from tfy_last9.standins.providers.route import Route, route
from tfy_last9.standins.providers.toolserver import ToolServers
from tfy_last9.standins.providers.turn import Turn
from tfy_last9.standins.providers.vendors import VENDORS, Speed
from tfy_last9.standins.providers.wish import BadRequest

BAD_REQUEST, NOT_FOUND = 400, 404


class Providers:
    """The ASGI app of the simulated providers and MCP servers."""

    def __init__(
        self,
        *,
        journal: Journal,
        seed: int,
        faults: FaultSet,
        api_key: str,
        pace: Speed | None = None,
        records_due: bool = False,
    ) -> None:
        self._pace = pace
        self._records_due = records_due
        self._journal = journal
        self._seed = seed
        self._api_key = api_key
        self._counts: dict[str, int] = {}
        self._places = {name: Capacity(vendor.capacity) for name, vendor in VENDORS.items()}
        self._pacer: Pacer | None = None
        self._tools = ToolServers(journal, seed)
        self.change_faults(faults)

    def change_faults(self, faults: FaultSet) -> None:
        """Put other faults in force."""
        self._faults = faults
        for name, places in self._places.items():
            given = [
                f for f in faults.faults if f.name == "provider_capacity" and f.provider == name
            ]
            places.places = (given[-1].count if given else None) or VENDORS[name].capacity
            places.admit()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Dispatch by path."""
        path = scope["path"]
        found = route(path) if scope["method"] == "POST" else None
        if found is not None:
            await self._answer(found, scope, receive, send)
        elif path == "/":
            await send_json(send, 200, {"status": "ok"})
        elif path == "/sandbox/faults":
            await self._switch(scope, receive, send)
        elif path.startswith("/mcp/"):
            await self._tools.answer(path.removeprefix("/mcp/"), scope, receive, send)
        else:
            await send_json(send, NOT_FOUND, {"error": {"message": f"no such path: {path}"}})

    async def _switch(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not carries_key(scope, self._api_key):
            await send_json(send, 401, {"error": "the sandbox API key is needed"})
            return
        if scope["method"] == "PUT":
            try:
                faults = [parse(text) for text in orjson.loads(await read_body(receive))]
            except (FaultError, ValueError, TypeError, AttributeError) as error:
                await send_json(send, BAD_REQUEST, {"error": str(error)})
                return
            mine = [fault for fault in faults if fault.owner is Owner.PROVIDERS]
            self.change_faults(FaultSet(mine, self._seed))
        await send_json(send, 200, [str(fault) for fault in self._faults.faults])

    async def _answer(self, found: Route, scope: Scope, receive: Receive, send: Send) -> None:
        received_ns = time.monotonic_ns()
        body = _read(scope, await read_body(receive))
        name = found.vendor.name
        k = self._counts.get(name, 0)
        self._counts[name] = k + 1
        model = found.model or str(body.get("model"))
        turn = Turn(found.vendor, model, k, received_ns, self._running_pacer())
        turn.due_ns = [] if self._records_due else None
        late = self._faults.strike("provider_latency", name)
        if late is not None:
            turn.extra_s = late.delay_s or 0.0
            turn.faults.append(str(late))
        try:
            with ClientWatch(scope, receive):
                await self._respond(turn, found, body, send, write_now(scope))
        finally:
            self._journal.write("answer", **turn.journal_fields())

    def _running_pacer(self) -> Pacer:
        loop = asyncio.get_running_loop()
        if self._pacer is None or self._pacer.loop is not loop:
            self._pacer = Pacer(loop)
        return self._pacer

    async def _respond(
        self, turn: Turn, found: Route, body: dict[str, Any], send: Send, now: WriteNow
    ) -> None:
        places = self._places[turn.vendor.name]
        try:
            failing.strike(self._faults, turn)
            await _enter(places, turn)
            try:
                await self._serve(turn, found, body, send, now)
            finally:
                places.leave()
        except Failure as failure:
            await failing.send(turn, failure, send)

    async def _serve(
        self, turn: Turn, found: Route, body: dict[str, Any], send: Send, now: WriteNow
    ) -> None:
        served = turn.vendor.served.get(turn.model)
        if served is None:
            raise Failure(NOT_FOUND, f"The model {turn.model} does not exist.")
        if self._pace is not None:
            served = replace(served, speed=self._pace)
        key = f"{self._seed}|{turn.vendor.name}|{turn.k}"
        try:
            if found.dialect is None:
                make = ANSWERS[found.path]
                await reply_with_object(turn, served, make, body, key=key, send=send)
            else:
                await reply_with_text(turn, served, found, body, key, self._faults, send, now)
        except BadRequest as error:
            raise Failure(BAD_REQUEST, str(error)) from error


def _read(scope: Scope, raw: bytes) -> dict[str, Any]:
    """Read a JSON object or a form; the gateway passes nothing else on."""
    content_type = header(scope, b"content-type") or ""
    if content_type.startswith("multipart/form-data"):
        return read_form(content_type, raw)
    body: dict[str, Any] = orjson.loads(raw)
    return body


async def _enter(places: Capacity, turn: Turn) -> None:
    """Wait for a free place; the wait comes on top of the time the model takes."""
    asked_ns = time.monotonic_ns()
    try:
        await places.enter()
    except Full:
        raise Failure(429, "Rate limit reached, please retry later.", retry_after_s=1) from None
    turn.queued_ns = time.monotonic_ns() - asked_ns
    turn.extra_s += turn.queued_ns / 1e9

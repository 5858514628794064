"""The routing table's machinery: path patterns, who may call, errors -> answers."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from tfy_last9.standins.last9.message import Refusal, Reply, Request, refusal_reply
from tfy_last9.standins.last9.settings import ErrorShape

Endpoint = Callable[[Request], Awaitable[Reply]]
Guard = Callable[[Request], Awaitable[None]]
Watch = Callable[[Request, Reply], None]


@dataclass(frozen=True, slots=True)
class Route:
    """One endpoint: method, path with `{name}` captures, what runs before and after it."""

    method: str
    pattern: re.Pattern[str]
    endpoint: Endpoint
    guard: Guard | None
    watch: Watch | None


def route(
    method: str,
    path: str,
    endpoint: Endpoint,
    guard: Guard | None = None,
    watch: Watch | None = None,
) -> Route:
    """Describe a route; `{name}` in the path captures one segment, `{name*}` any number."""
    pattern = re.sub(r"\\\{(\w+)\\\*\\\}", r"(?P<\1>.+)", re.escape(path))
    pattern = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", pattern)
    return Route(method, re.compile(pattern), endpoint, guard, watch)


async def answer(routes: tuple[Route, ...], request: Request, shape: ErrorShape) -> Reply | None:
    """Run the endpoint of the request; None for an unknown path or method."""
    for candidate in routes:
        found = candidate.pattern.fullmatch(request.path)
        if found and candidate.method == request.method:
            return await _run(candidate, replace(request, captured=found.groupdict()), shape)
    return None


async def _run(chosen: Route, request: Request, shape: ErrorShape) -> Reply:
    try:
        if chosen.guard:
            await chosen.guard(request)
        reply = await chosen.endpoint(request)
    except Refusal as refusal:
        reply = refusal_reply(refusal, shape)
    if chosen.watch:
        chosen.watch(request, reply)
    return reply

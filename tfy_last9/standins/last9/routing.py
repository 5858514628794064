"""The routing table's machinery: path patterns, who may call, errors -> answers."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from http import HTTPStatus

from tfy_last9.standins.last9.message import Refusal, Reply, Request, refusal_reply

Endpoint = Callable[[Request], Awaitable[Reply]]
Guard = Callable[[Request], None]
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
    """Describe a route; `{name}` in the path captures one segment."""
    pattern = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(path))
    return Route(method, re.compile(pattern), endpoint, guard, watch)


async def answer(routes: tuple[Route, ...], request: Request) -> Reply:
    """Run the endpoint of the request; an unknown path or method is 404."""
    for candidate in routes:
        found = candidate.pattern.fullmatch(request.path)
        if found and candidate.method == request.method:
            return await _run(candidate, replace(request, captured=found.groupdict()))
    return refusal_reply(Refusal(HTTPStatus.NOT_FOUND, f"no {request.method} {request.path} here"))


async def _run(chosen: Route, request: Request) -> Reply:
    try:
        if chosen.guard:
            chosen.guard(request)
        reply = await chosen.endpoint(request)
    except Refusal as refusal:
        reply = refusal_reply(refusal)
    if chosen.watch:
        chosen.watch(request, reply)
    return reply

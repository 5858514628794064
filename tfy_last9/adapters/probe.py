"""One real request per target before any load, to see whether the gateway takes what the scenario sends.

Goes through httpx in the judging process, so that it needs no Locust and is a client of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

import httpx

from tfy_last9.adapters.environment import GatewaySettings
from tfy_last9.adapters.network import certificates
from tfy_last9.model.scenario import Limits, Prompt, Target
from tfy_last9.wire import chat
from tfy_last9.wire.gateway import (
    METADATA_HEADER,
    TARGET_ID_HEADER,
    metadata_header,
    read_refusal,
    read_target_id,
)
from tfy_last9.wire.sse import SseParser

_OK = range(200, 300)
_CLOUDFLARE_BLOCK = "1010"


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """What became of one probe."""

    target: str
    status: int | None
    """None when there was no answer."""
    problem: str | None
    """None when the answer was complete and well formed."""
    is_refused: bool
    """The gateway turned the key, the model or the request itself down (400, 401, 403, 404)."""
    trace_id: str | None
    is_edge_block: bool = False
    """An edge before the gateway turned this client's User-Agent away."""


def probe(
    gateway: GatewaySettings, target: Target, prompt: Prompt, limits: Limits, run_id: str
) -> ProbeResult:
    """Send one request with the target's own parameters and read its answer to the end."""
    labels = {"run_id": run_id, "request_id": f"{run_id}.{target.name}", "target": target.name}
    headers = {
        **target.headers,
        "authorization": f"Bearer {gateway.api_key}",
        METADATA_HEADER: metadata_header(labels),
    }
    timeout = httpx.Timeout(limits.total_s, connect=limits.connect_s)
    body = chat.request_body(target, prompt)
    proxy = None if gateway.proxy is None else gateway.proxy.url
    trusted = certificates(gateway.ca_bundle)
    try:
        with (  # as the load goes: through the same proxy, trusting the same authorities
            httpx.Client(timeout=timeout, trust_env=False, verify=trusted, proxy=proxy) as client,
            client.stream("POST", gateway.url + chat.PATH, json=body, headers=headers) as response,
        ):
            return _read(target, response)
    except httpx.HTTPError as error:
        text = f"{type(error).__name__}: {error}"
        return ProbeResult(target.name, None, text, is_refused=False, trace_id=None)


def _read(target: Target, response: httpx.Response) -> ProbeResult:
    named = read_target_id(response.headers.get(TARGET_ID_HEADER))
    trace_id = named.trace_id if named else None
    status = response.status_code
    if status not in _OK:
        content = response.read()
        refusal = read_refusal(status, dict(response.headers), content)
        text = f"HTTP {status}: {refusal.message or 'no message'}"
        blocked = _CLOUDFLARE_BLOCK in content.decode("utf-8", "replace")
        at_edge = status == httpx.codes.FORBIDDEN and blocked
        if at_edge:
            text += (
                " (an edge refuses this User-Agent; set `headers: {user-agent: ...}` on the target)"
            )
        refused = status in {400, 401, 403, 404}
        return ProbeResult(
            target.name, status, text, is_refused=refused, trace_id=trace_id, is_edge_block=at_edge
        )
    facts = chat.ChatFacts()
    if target.stream:
        parser = SseParser()
        for piece in response.iter_bytes():
            for event in parser.feed(piece):
                facts.take_event(event.data, 0)
    else:
        facts.take_answer(response.read())
    problem = None
    if facts.error_type is not None:
        problem = f"{facts.error_type}: {facts.error_message}"
    elif not facts.done:
        problem = "the stream ended without [DONE]"
    return ProbeResult(target.name, status, problem, is_refused=False, trace_id=trace_id)

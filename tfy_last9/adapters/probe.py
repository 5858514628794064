"""One real request per target before any load, to see whether the gateway takes what the scenario sends.

Goes through httpx in the judging process, so that it needs no Locust and is a client of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import httpx

from tfy_last9.adapters.environment import GatewaySettings
from tfy_last9.adapters.network import certificates
from tfy_last9.model.request import Outcome
from tfy_last9.model.scenario import Limits, Prompt, Target
from tfy_last9.wire.facts import AnswerFacts
from tfy_last9.wire.gateway import (
    METADATA_HEADER,
    TARGET_ID_HEADER,
    metadata_header,
    read_refusal,
    read_target_id,
)
from tfy_last9.wire.mcp import INITIALIZE, INITIALIZED, McpFacts
from tfy_last9.wire.outgoing import Outgoing, is_event_stream
from tfy_last9.wire.scripts import Script, script_of
from tfy_last9.wire.sse import EventReader

_OK = range(200, 300)
_NOT_FOUND = 404
_GOES_ON = frozenset({INITIALIZE, INITIALIZED})
"""Operations of MCP after which another one shows more."""


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
    is_no_endpoint: bool = False
    """A 404 that no provider gave: what was asked for is no endpoint of a gateway."""


def probe(
    gateway: GatewaySettings, target: Target, prompt: Prompt, limits: Limits, run_id: str
) -> ProbeResult:
    """Send the target's own request and read its answer to the end.

    Of a conversation that is the opening, of an MCP session the handshake and the list of tools: calling
    a tool may change something.
    """
    timeout = httpx.Timeout(limits.total_s, connect=limits.connect_s)
    proxy = None if gateway.proxy is None else gateway.proxy.url
    trusted = certificates(gateway.ca_bundle)
    # As the load goes: through the same proxy, trusting the same authorities.
    with httpx.Client(timeout=timeout, trust_env=False, verify=trusted, proxy=proxy) as client:
        return _Probe(client, gateway, target, run_id).run(script_of(target, prompt))


class _Probe:
    """The requests of one probe; the last answer, or the first that is no good one, is the result."""

    def __init__(
        self, client: httpx.Client, gateway: GatewaySettings, target: Target, run_id: str
    ) -> None:
        self._client = client
        self._gateway = gateway
        self._target = target
        self._run_id = run_id
        self._sent = 0
        self._trace_id: str | None = None

    def run(self, script: Script) -> ProbeResult:
        """Send one request after the other."""
        while True:
            outgoing = script.outgoing()
            facts = outgoing.facts()
            try:
                result, headers = self._send(outgoing, facts)
            except httpx.HTTPError as error:
                return self._result(None, f"{type(error).__name__}: {error}")
            if isinstance(facts, McpFacts) and facts.tools and result.problem is None:
                missing = _unknown_tools(self._target, facts.tools)
                return self._result(result.status, missing, is_refused=missing is not None)
            if result.problem is not None or outgoing.operation not in _GOES_ON:
                return result
            script.take(headers, facts)
            if self._sent > 1 and not (self._target.mcp and self._target.mcp.list_tools):
                return result

    def _send(
        self, outgoing: Outgoing, facts: AnswerFacts
    ) -> tuple[ProbeResult, Mapping[str, str]]:
        target = self._target
        suffix = f".{self._sent}" if self._sent else ""
        self._sent += 1
        request_id = f"{self._run_id}.{target.name}{suffix}"
        labels = {"run_id": self._run_id, "request_id": request_id, "target": target.name}
        headers = {
            "accept": outgoing.accept,
            **outgoing.headers,
            **target.headers,
            "authorization": f"Bearer {self._gateway.api_key}",
            METADATA_HEADER: metadata_header(labels),
        }
        url = self._gateway.url + outgoing.path
        with self._client.stream("POST", url, json=outgoing.body, headers=headers) as response:
            named = read_target_id(response.headers.get(TARGET_ID_HEADER))
            self._trace_id = named.trace_id if named else self._trace_id
            return self._read(outgoing, facts, response), dict(response.headers)

    def _read(
        self, outgoing: Outgoing, facts: AnswerFacts, response: httpx.Response
    ) -> ProbeResult:
        status = response.status_code
        if status not in _OK:
            return self._refused(response)
        kind = response.headers.get("content-type", "")
        if is_event_stream(kind, asked=outgoing.stream):
            reader = EventReader(facts)
            for piece in response.iter_bytes():
                reader.feed(piece, 0)
        else:
            facts.take_answer(response.read())
            if outgoing.stream and facts.mishap() is None:
                return self._result(status, "a stream was asked for, and one whole answer came")
        mishap = facts.mishap()
        if mishap is None:
            return self._result(status, None)
        told = mishap.error_type if mishap.error_type != "missing_done" else ""
        return self._result(status, f"{told}: {mishap.message}" if told else mishap.message)

    def _refused(self, response: httpx.Response) -> ProbeResult:
        status = response.status_code
        refusal = read_refusal(status, dict(response.headers), response.read())
        text = f"HTTP {status}: {refusal.message or 'no message'}"
        at_edge = refusal.error_type.startswith("cloudflare_")
        if at_edge:
            text += (
                " (an edge refuses this User-Agent; set `headers: {user-agent: ...}` on the target)"
            )
        result = self._result(status, text, is_refused=status in {400, 401, 403, 404})
        is_no_endpoint = status == _NOT_FOUND and refusal.outcome is not Outcome.PROVIDER_ERROR
        return replace(result, is_edge_block=at_edge, is_no_endpoint=is_no_endpoint)

    def _result(
        self, status: int | None, problem: str | None, *, is_refused: bool = False
    ) -> ProbeResult:
        return ProbeResult(self._target.name, status, problem, is_refused, self._trace_id)


def _unknown_tools(target: Target, offered: tuple[str, ...]) -> str | None:
    """Say which tools of the scenario the server does not list; None if it lists them all."""
    asked = dict.fromkeys(call.tool for call in target.mcp.calls) if target.mcp else {}
    unknown = [tool for tool in asked if tool not in offered]
    if not unknown:
        return None
    return f"the server lists no tool {', '.join(unknown)}; it has {', '.join(offered)}"

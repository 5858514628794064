"""The reference driver: the openai SDK as most applications use it, retries off (`driver: openai`).

Slower by design (the SDK builds a model per chunk) and timed by the user clock. It exists so that what the
fast driver reports can be held against a client nobody here wrote.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import openai
import orjson

from tfy_last9.adapters.environment import GatewaySettings
from tfy_last9.adapters.network import certificates
from tfy_last9.model.request import Outcome
from tfy_last9.model.scenario import Api, Limits
from tfy_last9.swarm.call import Answer, Call
from tfy_last9.wire.gateway import read_refusal

_CONNECT_ERRORS = {
    "ConnectError": "unreachable",
    "ConnectTimeout": "connect_timeout",
    "PoolTimeout": "connect_timeout",
}
"""Names of the HTTP library's errors after which nothing was sent; it is an SDK detail which library."""
_SDK_ARGUMENTS = (
    *("model", "messages", "stream", "stream_options", "max_tokens"),
    *("input", "max_output_tokens", "encoding_format"),
)


class OpenAiDriver:
    """Sends calls through one shared `openai.OpenAI` client."""

    def __init__(self, gateway: GatewaySettings, limits: Limits) -> None:
        timeout = openai.Timeout(
            limits.total_s, connect=limits.connect_s, read=max(limits.first_token_s, limits.idle_s)
        )
        self._aborted = False
        proxy = None if gateway.proxy is None else gateway.proxy.url
        trusted = certificates(gateway.ca_bundle)
        self._client = openai.OpenAI(
            base_url=gateway.url,
            api_key=gateway.api_key,
            max_retries=0,
            timeout=timeout,
            http_client=openai.DefaultHttpxClient(trust_env=False, verify=trusted, proxy=proxy),
        )

    def send(self, call: Call, answer: Answer) -> None:
        """Send one call and read its answer (see `Driver.send`)."""
        try:
            self._send(call, answer)
        except openai.APIStatusError as error:
            self._refused(answer, error)
        except openai.APIConnectionError as error:
            self._take_transport_error(answer, error.__cause__ or error)
        except openai.APIError as error:  # an error event in the middle of a stream
            answer.fail(Outcome.STREAM_BROKEN, error.type or "stream_error", error.message)
        except Exception as error:  # noqa: BLE001 - the SDK lets its HTTP library's errors through mid-stream
            self._take_transport_error(answer, error)
        finally:
            if answer.finished_ns is None:
                answer.finished_ns = time.monotonic_ns()

    def begin(self, call: Call, answer: Answer, then: Callable[[], None]) -> None:
        """Refuse: the SDK blocks whoever calls it."""

    def abort(self) -> None:
        """Cut all connections: calls that are under way end as aborted."""
        self._aborted = True
        self._client.close()

    def close(self) -> None:
        """Close the SDK's connection pool."""
        self._client.close()

    def _send(self, call: Call, answer: Answer) -> None:
        sent = call.outgoing
        body = dict(sent.body)
        known = {name: body.pop(name) for name in _SDK_ARGUMENTS if name in body}
        raw = self._method(call.target.api)(
            **known, extra_body=body, extra_headers={**sent.headers, **call.headers}
        )
        answer.first_byte_ns = time.monotonic_ns()
        answer.written = True
        answer.status = raw.status_code
        answer.headers = dict(raw.headers)
        if sent.stream:
            self._read_stream(raw.parse(), answer)
        else:
            answer.facts.take_answer(raw.content)
        answer.finished_ns = time.monotonic_ns()
        answer.conclude()

    def _method(self, api: Api) -> Any:
        """Return the SDK's way to send a request of this protocol (see `SDK_APIS`)."""
        if api is Api.RESPONSES:
            return self._client.responses.with_raw_response.create
        if api is Api.EMBEDDINGS:
            return self._client.embeddings.with_raw_response.create
        return self._client.chat.completions.with_raw_response.create

    def _take_transport_error(self, answer: Answer, error: BaseException) -> None:
        """Name what the HTTP library reported as the fast driver would.

        A request whose connection stood is taken as written: the SDK does not say, and a trace that is
        expected in vain is better than one that nobody looks for.
        """
        kind = type(error).__name__
        if self._aborted:
            answer.written = answer.written or kind not in _CONNECT_ERRORS
            answer.fail(Outcome.ABORTED, "run_over", "the run ended first")
        elif kind in _CONNECT_ERRORS:
            answer.fail(Outcome.CONNECT_ERROR, _CONNECT_ERRORS[kind], str(error))
        elif kind == "ReadTimeout" and answer.facts.first_token_ns is None:
            answer.written = True
            answer.fail(Outcome.TIMEOUT, "first_token_timeout", str(error))
        else:
            answer.written = True
            name = "stall" if kind == "ReadTimeout" else "connection_lost"
            answer.fail(Outcome.STREAM_BROKEN, name, str(error))

    @staticmethod
    def _read_stream(stream: Any, answer: Answer) -> None:
        facts = answer.facts
        for chunk in stream:
            at_ns = time.monotonic_ns()
            facts.take_event(orjson.dumps(chunk.model_dump(exclude_unset=True)), at_ns)
        # The SDK swallows [DONE]; a finish reason is the nearest thing it lets through.
        facts.done = facts.done or facts.finish_reason is not None

    @staticmethod
    def _refused(answer: Answer, error: openai.APIStatusError) -> None:
        answer.written = True
        answer.status = error.status_code
        answer.headers = dict(error.response.headers)
        refusal = read_refusal(error.status_code, answer.headers, error.response.content)
        answer.fail(refusal.outcome, refusal.error_type, refusal.message)

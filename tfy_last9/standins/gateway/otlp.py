"""One OTLP/HTTP request: put a batch under its resource, encode it, send it, say what became of it."""

from __future__ import annotations

import base64
import gzip
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ssl import create_default_context
from typing import Any

import httpx
import orjson
from google.protobuf import json_format  # type: ignore[import-untyped] # ships no annotations
from google.protobuf.message import DecodeError  # type: ignore[import-untyped] # ships no annotations
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from tfy_last9.standins.gateway.attributes import fill
from tfy_last9.standins.gateway.record import SpanRecord

SERVICE_NAME = "tfy-llm-gateway"
PROTOBUF, JSON = "application/x-protobuf", "application/json"
ID_FIELDS = ("traceId", "spanId", "parentSpanId")
LIMITED, BROKEN_FROM, FAILED_FROM = 429, 500, 400
FAST = 1
"""gzip's level: spans are alike, and the next levels cost more than they save."""


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of one request."""

    status: int | None
    """None if there was no answer."""
    reason: str | None = None
    """Why it failed, by the reasons of `ai_gateway_spans_exported_total`; None if it did not."""
    rejected: int = 0
    """Spans that a successful answer says it did not take."""
    is_final: bool = False
    """Whether whoever sent it has tried often enough."""

    @property
    def may_be_repeated(self) -> bool:
        """Whether the same request may fare better later."""
        return (
            self.reason is not None
            and not self.is_final
            and (self.status is None or self.status == LIMITED or self.status >= BROKEN_FROM)
        )


def request_of(
    spans: Sequence[SpanRecord], resource: Mapping[str, str]
) -> ExportTraceServiceRequest:
    """Put spans under the one resource and scope that the gateway has."""
    request = ExportTraceServiceRequest()
    under = request.resource_spans.add()
    fill(under.resource.attributes, {"service.name": SERVICE_NAME, **resource})
    scope = under.scope_spans.add()
    scope.scope.name = SERVICE_NAME
    scope.spans.extend(span.to_message() for span in spans)
    return request


def json_document(request: ExportTraceServiceRequest) -> dict[str, Any]:
    """Write an export as OTLP/JSON, whose ids are hex and not the base64 of protobuf's own JSON."""
    found: dict[str, Any] = json_format.MessageToDict(request, use_integers_for_enums=True)
    for group in found.get("resourceSpans", ()):
        for scope in group.get("scopeSpans", ()):
            for span in scope.get("spans", ()):
                for name in ID_FIELDS:
                    if name in span:
                        span[name] = base64.b64decode(span[name]).hex()
    return found


class OtlpSender:
    """Sends batches to one endpoint; used from one thread."""

    def __init__(
        self,
        endpoint: str,
        authorization: str,
        *,
        resource: Mapping[str, str],
        encoding: str = "proto",
        timeout_s: float = 10.0,
        authority: str | None = None,
    ) -> None:
        self._endpoint = endpoint
        self._resource = resource
        self._is_json = encoding == "json"
        self._client = httpx.Client(
            headers={
                "Authorization": authorization,
                "Content-Type": JSON if self._is_json else PROTOBUF,
                "Content-Encoding": "gzip",
            },
            verify=create_default_context(cafile=authority),
            timeout=timeout_s,
            trust_env=False,
        )

    def encode(self, spans: Sequence[SpanRecord]) -> bytes:
        """Give the body of an export."""
        request = request_of(spans, self._resource)
        if self._is_json:
            return orjson.dumps(json_document(request))
        return bytes(request.SerializeToString())

    def send(self, spans: Sequence[SpanRecord]) -> Sent:
        """Send one batch once."""
        body = gzip.compress(self.encode(spans), FAST)
        try:
            answer = self._client.post(self._endpoint, content=body)
        except httpx.TimeoutException:
            return Sent(None, "timeout")
        except httpx.ConnectError:
            return Sent(None, "connection_refused")
        except httpx.TransportError:
            return Sent(None, "unknown")
        if answer.status_code >= FAILED_FROM:
            kind = "http_5xx" if answer.status_code >= BROKEN_FROM else "http_4xx"
            return Sent(answer.status_code, kind)
        return Sent(answer.status_code, None, _rejected(answer))

    def close(self) -> None:
        """Close the connection."""
        self._client.close()


def _rejected(answer: httpx.Response) -> int:
    """Read how many spans of a partial success were not taken."""
    try:
        if answer.headers.get("content-type", "").startswith(JSON):
            partial = answer.json().get("partialSuccess") or {}
            return int(partial.get("rejectedSpans", 0))
        message = ExportTraceServiceResponse.FromString(answer.content)
        return int(message.partial_success.rejected_spans)
    except (ValueError, AttributeError, DecodeError):
        return 0

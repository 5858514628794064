"""Send finished spans over OTLP/HTTP: protobuf, gzip, with the resource that TrueFoundry documents.

What the collector in front of the customer's exporter does on failure is in its chart: three retries, one
second apart. Every request is journalled with its size and HTTP status.
"""

from __future__ import annotations

import gzip
import threading
from collections.abc import Mapping, Sequence
from ssl import create_default_context
from typing import Protocol

import httpx
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tfy_last9.standins.gateway.attributes import fill
from tfy_last9.standins.journal import Journal

SERVICE_NAME = "tfy-llm-gateway"
RETRY_ON = frozenset({429, 502, 503, 504})
"""What the OTLP specification calls retryable."""
RETRIES = 3
RETRY_AFTER_S = 1.0
TIMEOUT_S = 60.0
FAST = 1
"""gzip's level: spans are alike, and the next levels cost more than they save."""


class Exporter(Protocol):
    """Takes batches of spans."""

    def export(self, spans: Sequence[Span]) -> None:
        """Send one batch; what cannot be sent is lost, and journalled as such."""
        ...

    def stop(self) -> None:
        """Give up waiting for retries: the process is about to end."""
        ...


class OtlpExporter:
    """Sends batches to one endpoint."""

    def __init__(
        self,
        journal: Journal,
        endpoint: str,
        authorization: str,
        resource: Mapping[str, str],
        authority: str | None = None,
    ) -> None:
        self._journal = journal
        self._endpoint = endpoint
        self._resource = {"service.name": SERVICE_NAME, **resource}
        self._stopping = threading.Event()
        self._client = httpx.Client(
            headers={
                "Authorization": authorization,
                "Content-Type": "application/x-protobuf",
                "Content-Encoding": "gzip",
            },
            verify=create_default_context(cafile=authority),
            timeout=TIMEOUT_S,
            trust_env=False,
        )

    def export(self, spans: Sequence[Span]) -> None:
        """Send one batch, again if the receiver asks for it."""
        body = gzip.compress(self.encode(spans).SerializeToString(), FAST)
        for left in reversed(range(RETRIES + 1)):
            status = self._post(body)
            ok = status is not None and status < 400  # noqa: PLR2004 - HTTP
            self._journal.write("export", spans=len(spans), ok=ok, status=status)
            if ok or not left or not (status is None or status in RETRY_ON):
                return
            if self._stopping.wait(RETRY_AFTER_S):
                return

    def _post(self, body: bytes) -> int | None:
        try:
            return self._client.post(self._endpoint, content=body).status_code
        except httpx.TransportError:
            return None

    def encode(self, spans: Sequence[Span]) -> ExportTraceServiceRequest:
        """Put spans under the one resource and scope that the gateway has."""
        request = ExportTraceServiceRequest()
        under = request.resource_spans.add()
        fill(under.resource.attributes, self._resource)
        scope = under.scope_spans.add()
        scope.scope.name = SERVICE_NAME
        scope.spans.extend(spans)
        return request

    def stop(self) -> None:
        """Wait for no retry any more."""
        self._stopping.set()

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

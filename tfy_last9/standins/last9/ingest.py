"""OTLP/HTTP ingestion: what is accepted is queued; what is refused says why, as OTLP wants it.

Statuses and bodies follow the OTLP/HTTP specification (opentelemetry.io/docs/specs/otlp): errors are
a `google.rpc.Status` in the encoding of the request, and 503 asks the exporter to send again.
"""

from __future__ import annotations

import hmac
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus

import orjson
from google.protobuf import json_format  # type: ignore[import-untyped] # ships no annotations
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped] # as above
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from tfy_last9.standins.journal import Journal
from tfy_last9.standins.last9.disturbance import Disturbance
from tfy_last9.standins.last9.document import read_field
from tfy_last9.standins.last9.message import JSON, TEXT, Refusal, Reply, Request
from tfy_last9.standins.last9.otlp import Decoded, Undecodable, decode_json, decode_protobuf
from tfy_last9.standins.last9.otlp_metrics import metric_points
from tfy_last9.standins.last9.settings import (
    InvalidSpans,
    NumericAttributes,
    OtlpErrors,
    Settings,
)
from tfy_last9.standins.last9.span import SpanRow
from tfy_last9.standins.last9.store import SpanStore

PROTOBUF = "application/x-protobuf"
DECODERS: dict[str, Callable[[bytes, NumericAttributes], Decoded]] = {
    PROTOBUF: decode_protobuf,
    JSON: decode_json,
}
GZIP_WINDOW = 16 + zlib.MAX_WBITS
NS_PER_MS = 1_000_000
LEFT_OUT = "spans without valid ids or times were left out"
EMPTY = Decoded((), 0)


@dataclass(frozen=True, slots=True)
class Ingest:
    """Takes trace exports that carry the expected credential."""

    store: SpanStore
    journal: Journal
    expected_authorization: str
    settings: Settings
    disturbance: Disturbance
    clock: Callable[[], float]

    async def traces(self, request: Request) -> Reply:
        """Take one export; journals how many spans of how many traces it brought."""
        media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        decoded = EMPTY
        try:
            decoded = self._accepted(request, media_type)
            reply = _encoded(_response(decoded), media_type, HTTPStatus.OK)
        except Refusal as refusal:
            reply = self._refused(refusal, media_type)
        traces = len({row.trace_id for row in decoded.rows})
        self.journal.write("ingest", spans=len(decoded.rows), traces=traces, status=reply.status)
        return reply

    async def other_signal(self, request: Request) -> Reply:
        """Take metrics or logs, which Last9 stores and this stand-in does not; journals which metrics."""
        media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        try:
            self._check_credential(request.headers.get("authorization", ""))
            _decoder(media_type)
            if request.path.endswith("/v1/metrics") and media_type == PROTOBUF:
                self.journal.write("metrics", points=metric_points(self._plain(request)))
        except Refusal as refusal:
            return self._refused(refusal, media_type)
        except Undecodable as error:
            return self._refused(Refusal(HTTPStatus.BAD_REQUEST, str(error)), media_type)
        return _encoded(ExportTraceServiceResponse(), media_type, HTTPStatus.OK)

    async def wrong_method(self, _request: Request) -> Reply:
        """Refuse what is not a POST, as a collector does."""
        status = HTTPStatus.METHOD_NOT_ALLOWED
        text = b"405 method not allowed, supported: [POST]"
        return Reply(text, status, TEXT, {"allow": "POST"})

    def _accepted(self, request: Request, media_type: str) -> Decoded:
        self._check_credential(request.headers.get("authorization", ""))
        decode = _decoder(media_type)
        try:
            decoded = decode(self._plain(request), self.settings.numeric_attributes)
        except Undecodable as error:
            raise Refusal(HTTPStatus.BAD_REQUEST, str(error)) from error
        if decoded.rejected and self.settings.invalid_spans is InvalidSpans.REFUSE:
            raise Refusal(HTTPStatus.BAD_REQUEST, LEFT_OUT)
        if reason := self.disturbance.refused_export(decoded.rows):
            raise Refusal(HTTPStatus.BAD_REQUEST, reason)
        rows = self.disturbance.stored(self._held_back(self._undropped(decoded.rows)))
        if rows and not self.store.offer(rows):
            text = self.store.failure or "the write queue is full, send again"
            raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, text)
        return decoded

    def _plain(self, request: Request) -> bytes:
        encoding = request.headers.get("content-encoding", "identity")
        return _uncompressed(request.body, encoding, self.settings.max_export_bytes)

    def _undropped(self, rows: tuple[SpanRow, ...]) -> tuple[SpanRow, ...]:
        if not self.settings.drop_rules:
            return rows
        rules = [rule.rpartition("=") for rule in self.settings.drop_rules]
        spans = [(row, orjson.loads(row.doc)) for row in rows]
        return tuple(
            row
            for row, span in spans
            if not any(str(read_field(span, field)) == value for field, _, value in rules)
        )

    def _held_back(self, rows: tuple[SpanRow, ...]) -> tuple[SpanRow, ...]:
        """Give each span the moment from which queries see it."""
        lag_ms, spread_ms = self.settings.lag_ms, self.settings.spread_ms
        if not lag_ms and not spread_ms:
            return rows
        from_ns = int(self.clock() * 1_000_000_000) + lag_ms * NS_PER_MS
        return tuple(
            row._replace(visible_ns=from_ns + int(row.span_id, 16) % (spread_ms or 1) * NS_PER_MS)
            for row in rows
        )

    def _refused(self, refusal: Refusal, media_type: str) -> Reply:
        if self.settings.otlp_errors is OtlpErrors.TEXT:
            return Reply(refusal.text.encode(), refusal.status, TEXT, _retry(refusal.status))
        return _encoded(Status(message=refusal.text), media_type, refusal.status)

    def _check_credential(self, seen: str) -> None:
        if hmac.compare_digest(seen.encode(), self.expected_authorization.encode()):
            return
        if not seen.startswith("Basic "):
            raise Refusal(HTTPStatus.UNAUTHORIZED, "Authorization must start with 'Basic '")
        raise Refusal(HTTPStatus.UNAUTHORIZED, "the credential is not the one of this organisation")


def _decoder(media_type: str) -> Callable[[bytes, NumericAttributes], Decoded]:
    decode = DECODERS.get(media_type)
    if decode is None:
        seen = media_type or "no content type"
        text = f"expected {PROTOBUF} or {JSON}, saw {seen}"
        raise Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, text)
    return decode


def _uncompressed(body: bytes, encoding: str, largest: int) -> bytes:
    if encoding == "identity":
        return body
    if encoding != "gzip":
        text = f"expected Content-Encoding gzip or identity, saw {encoding}"
        raise Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, text)
    stream = zlib.decompressobj(GZIP_WINDOW)
    try:
        plain = stream.decompress(body, largest)
    except zlib.error as error:
        raise Refusal(HTTPStatus.BAD_REQUEST, f"the body is not gzip: {error}") from error
    if stream.unconsumed_tail:
        text = f"the export is larger than {largest} bytes"
        raise Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, text)
    if not stream.eof:
        raise Refusal(HTTPStatus.BAD_REQUEST, "the gzip body ends too early")
    return plain


def _response(decoded: Decoded) -> ExportTraceServiceResponse:
    response = ExportTraceServiceResponse()
    if decoded.rejected:
        response.partial_success.rejected_spans = decoded.rejected
        response.partial_success.error_message = LEFT_OUT
    return response


def _encoded(message: ExportTraceServiceResponse | Status, media_type: str, status: int) -> Reply:
    """Answer in the encoding of the request; protobuf if that was neither."""
    headers = _retry(status)
    if media_type == JSON:
        document = json_format.MessageToJson(message, indent=None)
        return Reply(document.encode(), status, JSON, headers)
    return Reply(message.SerializeToString(), status, PROTOBUF, headers)


def _retry(status: int) -> dict[str, str]:
    return {"retry-after": "1"} if status == HTTPStatus.SERVICE_UNAVAILABLE else {}

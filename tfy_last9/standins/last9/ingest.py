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

from google.protobuf import json_format  # type: ignore[import-untyped] # ships no annotations
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped] # as above
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from tfy_last9.standins.journal import Journal
from tfy_last9.standins.last9.message import JSON, Refusal, Reply, Request
from tfy_last9.standins.last9.otlp import Decoded, Undecodable, decode_json, decode_protobuf
from tfy_last9.standins.last9.settings import NumericAttributes
from tfy_last9.standins.last9.store import SpanStore

PROTOBUF = "application/x-protobuf"
DECODERS: dict[str, Callable[[bytes, NumericAttributes], Decoded]] = {
    PROTOBUF: decode_protobuf,
    JSON: decode_json,
}
GZIP_WINDOW = 16 + zlib.MAX_WBITS
LARGEST_BYTES = 64 << 20
"""Uncompressed; the largest collector batches in use are 15 000 spans, some 20 MB."""
EMPTY = Decoded((), 0)


@dataclass(frozen=True, slots=True)
class Ingest:
    """Takes trace exports that carry the expected credential."""

    store: SpanStore
    journal: Journal
    expected_authorization: str
    numeric: NumericAttributes

    async def traces(self, request: Request) -> Reply:
        """Take one export; journals how many spans of how many traces it brought."""
        media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        decoded = EMPTY
        try:
            decoded = self._accepted(request, media_type)
            reply = _encoded(_response(decoded), media_type, HTTPStatus.OK)
        except Refusal as refusal:
            reply = _refused(refusal, media_type)
        traces = len({row.trace_id for row in decoded.rows})
        self.journal.write("ingest", spans=len(decoded.rows), traces=traces, status=reply.status)
        return reply

    def _accepted(self, request: Request, media_type: str) -> Decoded:
        self._check_credential(request.headers.get("authorization", ""))
        decode = DECODERS.get(media_type)
        if decode is None:
            seen = media_type or "no content type"
            text = f"expected {PROTOBUF} or {JSON}, saw {seen}"
            raise Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, text)
        body = _uncompressed(request.body, request.headers.get("content-encoding", "identity"))
        try:
            decoded = decode(body, self.numeric)
        except Undecodable as error:
            raise Refusal(HTTPStatus.BAD_REQUEST, str(error)) from error
        if decoded.rows and not self.store.offer(decoded.rows):
            text = self.store.failure or "the write queue is full, send again"
            raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, text)
        return decoded

    def _check_credential(self, seen: str) -> None:
        if hmac.compare_digest(seen.encode(), self.expected_authorization.encode()):
            return
        if not seen.startswith("Basic "):
            raise Refusal(HTTPStatus.UNAUTHORIZED, "Authorization must start with 'Basic '")
        raise Refusal(HTTPStatus.UNAUTHORIZED, "the credential is not the one of this organisation")


def _uncompressed(body: bytes, encoding: str) -> bytes:
    if encoding == "identity":
        return body
    if encoding != "gzip":
        text = f"expected Content-Encoding gzip or identity, saw {encoding}"
        raise Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, text)
    stream = zlib.decompressobj(GZIP_WINDOW)
    try:
        plain = stream.decompress(body, LARGEST_BYTES)
    except zlib.error as error:
        raise Refusal(HTTPStatus.BAD_REQUEST, f"the body is not gzip: {error}") from error
    if stream.unconsumed_tail:
        text = f"the export is larger than {LARGEST_BYTES} bytes"
        raise Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, text)
    if not stream.eof:
        raise Refusal(HTTPStatus.BAD_REQUEST, "the gzip body ends too early")
    return plain


def _response(decoded: Decoded) -> ExportTraceServiceResponse:
    response = ExportTraceServiceResponse()
    if decoded.rejected:
        response.partial_success.rejected_spans = decoded.rejected
        response.partial_success.error_message = "spans without valid ids or times were left out"
    return response


def _refused(refusal: Refusal, media_type: str) -> Reply:
    return _encoded(Status(message=refusal.text), media_type, refusal.status)


def _encoded(message: ExportTraceServiceResponse | Status, media_type: str, status: int) -> Reply:
    """Answer in the encoding of the request; protobuf if that was neither."""
    headers = {"retry-after": "1"} if status == HTTPStatus.SERVICE_UNAVAILABLE else {}
    if media_type == JSON:
        document = json_format.MessageToJson(message, indent=None)
        return Reply(document.encode(), status, JSON, headers)
    return Reply(message.SerializeToString(), status, PROTOBUF, headers)

"""OTLP/HTTP with protobuf, gzip: one request at a time, a few attempts, and the reason when it fails.

What may be sent again is OTLP's own list (opentelemetry.io/docs/specs/otlp, "Retryable Response Codes").
"""

from __future__ import annotations

import gzip
from types import TracebackType
from typing import Self

import httpx
from google.protobuf.message import DecodeError, Message  # type: ignore[import-untyped] # no annotations
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped] # as above

from tfy_last9.adapters.environment import is_loopback
from tfy_last9.adapters.network import certificates
from tfy_last9.adapters.otlp.settings import OtlpSettings
from tfy_last9.errors import BackendUnavailable
from tfy_last9.ports import Clock

PROTOBUF = "application/x-protobuf"
_RETRYABLE = frozenset({429, 502, 503, 504})
_PAUSES_S = (0.5, 2.0)
"""Between attempts: an export is not worth more patience."""
_TIMEOUT = httpx.Timeout(15.0, connect=5.0)
_SHOWN = 200


class OtlpSender:
    """Posts exports to one endpoint."""

    def __init__(self, settings: OtlpSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        loopback = is_loopback(httpx.URL(settings.endpoint).host)
        self._http = httpx.Client(
            timeout=_TIMEOUT,
            follow_redirects=False,  # the header would go along
            trust_env=not loopback,
            verify=certificates(settings.ca_bundle),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._http.close()

    def send(self, signal: str, request: Message) -> bytes:
        """Post one export to `/v1/<signal>` and return the answer. Raises `BackendUnavailable`."""
        url = f"{self._settings.endpoint}/v1/{signal}"
        body = gzip.compress(request.SerializeToString(), compresslevel=3)
        said = ""
        for pause_s in (*_PAUSES_S, None):
            try:
                answer = self._http.post(url, content=body, headers=self._headers())
            except httpx.HTTPError as error:
                said = f"{type(error).__name__}: {error}"
            else:
                if answer.is_success:
                    return answer.content
                said = f"{answer.status_code} {_reason(answer)}"
                if answer.status_code not in _RETRYABLE:
                    break
            if pause_s is not None:
                self._clock.sleep(pause_s)
        raise BackendUnavailable(f"{url}: {said.replace(self._settings.authorization, '***')}")

    def _headers(self) -> dict[str, str]:
        return {
            "Authorization": self._settings.authorization,
            "Content-Type": PROTOBUF,
            "Content-Encoding": "gzip",
        }


def _reason(answer: httpx.Response) -> str:
    """Return what a refusal says: a `google.rpc.Status`, or text."""
    if answer.headers.get("content-type", "").startswith(PROTOBUF):
        try:
            return str(Status.FromString(answer.content).message)[:_SHOWN]
        except DecodeError:
            return ""
    return " ".join(answer.text.split())[:_SHOWN]

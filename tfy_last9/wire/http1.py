"""One HTTP/1.1 response from bytes, split anywhere, over llhttp. No sockets.

Tells apart the ways a response can end: complete, cut short by the peer, or never begun.
"""

from __future__ import annotations

from collections.abc import Callable

import httptools


class ProtocolError(Exception):
    """The peer sent something that is not HTTP/1.1."""


class ResponseReader:
    """Incremental reader of exactly one response; `on_body` gets each piece of the decoded body."""

    __slots__ = ("_delimited", "_on_body", "_parser", "complete", "headers", "keep_alive", "status")

    def __init__(self, on_body: Callable[[bytes], None]) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._on_body = on_body
        self._delimited = False
        self.status: int | None = None
        """None until the final headers are complete; 1xx responses are passed over."""
        self.headers: dict[str, str] = {}
        """Names in lower case; a repeated header keeps its last value."""
        self.complete = False
        self.keep_alive = False

    def feed(self, data: bytes) -> None:
        """Take bytes as they come. Raises `ProtocolError`."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as error:
            raise ProtocolError("the peer switched protocols") from error
        except httptools.HttpParserError as error:
            if not self.complete:
                raise ProtocolError(str(error) or type(error).__name__) from error
            self.keep_alive = False

    def end_of_input(self) -> None:
        """Say that the peer closed: completes a body that only the end of the connection delimits."""
        if self.status is not None and not self._delimited:
            self.complete = True
            self.keep_alive = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Store a header (called by the parser)."""
        if not self._is_over():
            self.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """Fix status and framing (called by the parser)."""
        if self._is_over():
            return
        status = self._parser.get_status_code()
        if status < 200:  # noqa: PLR2004 - 1xx: the real response follows
            self.headers.clear()
            return
        self.status = status
        self._delimited = (
            "content-length" in self.headers
            or "chunked" in self.headers.get("transfer-encoding", "").lower()
        )

    def on_body(self, body: bytes) -> None:
        """Pass body bytes on (called by the parser)."""
        if not self._is_over():
            self._on_body(body)

    def on_message_complete(self) -> None:
        """Note the end of the message (called by the parser)."""
        if self.status is not None and not self._is_over():
            self.complete = True
            self.keep_alive = self._parser.should_keep_alive()

    def _is_over(self) -> bool:
        """Tell whether this is more than was asked for; such a connection is not used again."""
        if self.complete:
            self.keep_alive = False
        return self.complete


def request_head(method: str, target: str, headers: dict[str, str]) -> bytes:
    """Return the start line and headers of a request. Raises `ValueError` on a line break in a value."""
    lines = [f"{method} {target} HTTP/1.1"]
    for name, value in headers.items():
        if any(character in value or character in name for character in "\r\n\0"):
            raise ValueError(f"header {name!r} holds a line break")
        lines.append(f"{name}: {value}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")

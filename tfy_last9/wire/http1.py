"""HTTP/1.1 responses from bytes, split anywhere, over llhttp. No sockets.

Tells apart the ways a response can end: complete, cut short by the peer, or never begun. One reader serves
one connection: `reset` makes it ready for the next response. Body pieces and header fields are collected
by methods of `list` and `dict` that llhttp's binding calls directly, so that a chunk costs no Python frame.
"""

from __future__ import annotations

from functools import lru_cache

import httptools


class ProtocolError(Exception):
    """The peer sent something that is not HTTP/1.1."""


class ResponseReader:
    """Incremental reader of one response at a time."""

    __slots__ = (
        *("_decoded", "_end", "_fields", "_fields_of_status", "_parser", "_pieces"),
        *("complete", "keep_alive", "on_body", "on_header", "status"),
    )

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._fields: dict[bytes, bytes] = {}
        self.on_body = self._pieces.append
        """Called by the parser, for each piece of the decoded body."""
        self.on_header = self._fields.__setitem__
        """Called by the parser, for each field of a head or a trailer."""
        self.reset()
        self._parser = httptools.HttpResponseParser(self)

    def reset(self) -> None:
        """Get ready for the next response on the same connection."""
        self._pieces.clear()
        self._fields.clear()
        self._fields_of_status: dict[bytes, bytes] = {}
        self._decoded: dict[str, str] | None = None
        self._end = 0
        self.status: int | None = None
        """None until the final headers are complete; 1xx responses are passed over."""
        self.complete = False
        self.keep_alive = False

    @property
    def headers(self) -> dict[str, str]:
        """Fields of the final head, names in lower case; a repeated one keeps its last value."""
        if self._decoded is None:
            self._decoded = {
                _lowered(name): value.decode("latin-1")
                for name, value in self._fields_of_status.items()
            }
        return self._decoded

    def feed(self, data: bytes | memoryview) -> bytes:
        """Take bytes as they come; return the body that they bring. Raises `ProtocolError`."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as error:
            raise ProtocolError("the peer switched protocols") from error
        except httptools.HttpParserError as error:
            if not self.complete:
                raise ProtocolError(str(error) or type(error).__name__) from error
            self.keep_alive = False
        return self.take_body()

    def take_body(self) -> bytes:
        """Return body that came and was not taken yet: after a `ProtocolError`, what preceded it."""
        pieces = self._pieces
        if self.complete:
            del pieces[self._end :]  # of a response that nobody asked for
            self._end = 0
        if len(pieces) == 1:
            return pieces.pop()
        body = b"".join(pieces)
        pieces.clear()
        return body

    def end_of_input(self) -> None:
        """Say that the peer closed: completes a body that only the end of the connection delimits."""
        if self.status is not None and not self._is_delimited():
            self.complete = True
            self._end = len(self._pieces)
            self.keep_alive = False

    def _is_delimited(self) -> bool:
        coding = self.headers.get("transfer-encoding", "").lower()
        return "content-length" in self.headers or "chunked" in coding

    def on_message_begin(self) -> None:
        """Note a response that nobody asked for; such a connection is not used again (called by the parser)."""
        if self.complete:
            self.keep_alive = False

    def on_headers_complete(self) -> None:
        """Fix status and fields (called by the parser)."""
        if self.complete:
            return
        status = self._parser.get_status_code()
        if status >= 200:  # noqa: PLR2004 - 1xx: the real response follows
            self.status = status
            self._fields_of_status = self._fields.copy()
        self._fields.clear()

    def on_message_complete(self) -> None:
        """Note the end of the message (called by the parser)."""
        if self.status is not None and not self.complete:
            self.complete = True
            self._end = len(self._pieces)
            self.keep_alive = self._parser.should_keep_alive()


@lru_cache(maxsize=1024)
def _lowered(name: bytes) -> str:
    return name.decode("latin-1").lower()


def request_head(method: str, target: str, headers: dict[str, str]) -> bytes:
    """Return the start line and headers of a request. Raises `ValueError` on a line break in a value."""
    lines = [f"{method} {target} HTTP/1.1"]
    for name, value in headers.items():
        if any(character in value or character in name for character in "\r\n\0"):
            raise ValueError(f"header {name!r} holds a line break")
        lines.append(f"{name}: {value}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")

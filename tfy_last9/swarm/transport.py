"""A connection whose receive instants come from the kernel, with or without TLS.

Python's `SSLSocket` hides ancillary data, so TLS is done over memory buffers: ciphertext is read with
`recvmsg`, which carries the kernel's receive time (SO_TIMESTAMPNS, socket(7)), and decrypted afterwards.
Certificates are verified, always; redirects are never followed, so a key goes nowhere else.
"""

from __future__ import annotations

import socket as stdlib_socket
import ssl
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from gevent import get_hub
from gevent.monkey import get_original
from gevent.socket import wait_write

from tfy_last9.wire.http1 import ResponseReader

_SO_TIMESTAMPNS = getattr(
    stdlib_socket, "SO_TIMESTAMPNS", 35
)  # 35 on every Linux but alpha, parisc, sparc
_TIMESPEC = struct.Struct("@qq")
_ANCILLARY_BYTES = stdlib_socket.CMSG_SPACE(_TIMESPEC.size)
_READ_BYTES = 65536
_VIEW = memoryview(bytearray(_READ_BYTES))
_BUFFERS = (_VIEW,)
"""One buffer for all connections: the hub reads one at a time, and the parsers copy what they keep."""
_READ = 1
_PlainSocket: Any = get_original("socket", "socket")
"""Sockets that never wait: gevent's own look up their hub and copy their timeout for every call."""
_NS_PER_S = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Origin:
    """Scheme, host and port of the gateway, and the path its API hangs below."""

    tls: bool
    host: str
    port: int
    base_path: str

    @classmethod
    def parse(cls, url: str) -> Origin:
        """Read a base URL such as `https://gateway.truefoundry.ai/tenant`."""
        parts = urlsplit(url)
        tls = parts.scheme == "https"
        port = parts.port or (443 if tls else 80)
        return cls(tls, parts.hostname or "", port, parts.path.rstrip("/"))

    @property
    def authority(self) -> str:
        """Value of the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.tls else 80) else f"{host}:{self.port}"


class KernelClock:
    """Kernel receive times (CLOCK_REALTIME) on the monotonic scale.

    Both clocks are slewed alike, so the offset changes only when the wall clock is set: `refresh` now
    and then follows that.
    """

    __slots__ = ("_keeper", "offset_ns")

    def __init__(self) -> None:
        # Linux stamps packets only while some socket asks for it, and begins a moment after the first
        # one did (netstamp_needed in net/core/dev.c): without this one, the first answers go unstamped.
        self._keeper = stdlib_socket.socket(stdlib_socket.AF_INET, stdlib_socket.SOCK_DGRAM)
        ask_for_stamps(self._keeper)
        self.refresh()

    def close(self) -> None:
        """Stop asking for receive times."""
        self._keeper.close()

    def refresh(self) -> None:
        """Measure the offset between the two clocks, keeping the tightest of three readings."""
        best: tuple[int, int] | None = None
        for _ in range(3):
            before = time.monotonic_ns()
            wall = time.time_ns()
            after = time.monotonic_ns()
            if best is None or after - before < best[0]:
                best = (after - before, wall - (before + after) // 2)
        assert best is not None
        self.offset_ns = best[1]
        """Wall clock minus monotonic clock."""


class Connection:
    """One TCP (and TLS) connection to the gateway. Use from one greenlet at a time.

    One watcher looks at the socket for as long as the connection lives. `listen` says who reads; while
    nobody does, whatever arrives means that the connection cannot be used any more.
    """

    __slots__ = (
        *("_incoming", "_outgoing", "_sock", "_tls", "_watcher", "idle_since_ns"),
        *("is_spent", "reader"),
    )

    def __init__(self, origin: Origin, context: ssl.SSLContext | None, sock: Any) -> None:
        """Take a connected socket of gevent's, and shake hands for https. Raises OSError (`ssl.SSLError` is one).

        It waits for as long as the operating system does: run it inside an `Attempt`.
        """
        self.idle_since_ns = 0
        self.is_spent = False
        self.reader = ResponseReader()
        self._tls: ssl.SSLObject | None = None
        sock.setsockopt(stdlib_socket.IPPROTO_TCP, stdlib_socket.TCP_NODELAY, 1)
        ask_for_stamps(sock)
        if origin.tls:
            assert context is not None
            self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            self._tls = context.wrap_bio(
                self._incoming, self._outgoing, server_hostname=origin.host
            )
            self._shake_hands(self._tls, sock)
        self._sock: Any = _PlainSocket(fileno=sock.detach())
        self._sock.setblocking(False)
        self._watcher: Any = get_hub().loop.io(self._sock.fileno(), _READ)
        self._watcher.start(self._on_unasked)

    def _shake_hands(self, tls: ssl.SSLObject, sock: Any) -> None:
        while True:
            try:
                tls.do_handshake()
            except ssl.SSLWantReadError:
                self._flush(sock)
                data = sock.recv(_READ_BYTES)
                if not data:
                    raise ConnectionResetError("the peer closed during the TLS handshake") from None
                self._incoming.write(data)
            except ssl.SSLError:
                with suppress(OSError):  # the alert that tells the peer why
                    self._flush(sock)
                raise
            else:
                self._flush(sock)
                return

    def _flush(self, sock: Any) -> None:
        if self._outgoing.pending:
            sock.sendall(self._outgoing.read())

    def listen(self, on_readable: Callable[[], None] | None) -> None:
        """Call `on_readable` from the hub whenever something is there; None: nobody reads."""
        self._watcher.callback = on_readable or self._on_unasked

    def _on_unasked(self) -> None:
        self.is_spent = True
        self._watcher.stop()

    def begin_send(self, data: bytes) -> bytes | memoryview:
        """Hand the kernel what it takes without waiting; return the rest. Raises OSError."""
        if self._tls is not None:
            self._tls.write(data)
            data = self._outgoing.read()
        try:
            sent = self._sock.send(data)
        except BlockingIOError:
            return data
        return b"" if sent == len(data) else memoryview(data)[sent:]

    def finish_send(self, rest: bytes | memoryview) -> None:
        """Hand the rest to the kernel; blocks this greenlet, so run it inside an `Attempt`."""
        while rest:
            wait_write(self._sock.fileno())
            with suppress(BlockingIOError):
                rest = rest[self._sock.send(rest) :]

    def receive(self) -> tuple[bytes | memoryview, int | None] | None:
        """Return (plaintext, kernel wall time or None); None at the end of input.

        Raises BlockingIOError when nothing is there. Plaintext is valid until the next call on any
        connection, and may be empty although bytes came (TLS).
        """
        size, ancillary, _, _ = self._sock.recvmsg_into(_BUFFERS, _ANCILLARY_BYTES)
        if not size:
            return None
        stamp = _stamp(ancillary) if ancillary else None
        if self._tls is None:
            return _VIEW[:size], stamp
        self._incoming.write(_VIEW[:size])
        plain = []
        try:
            while piece := self._tls.read(_READ_BYTES):
                plain.append(piece)
        except (ssl.SSLWantReadError, ssl.SSLZeroReturnError):
            pass
        return b"".join(plain), stamp

    def is_usable(self) -> bool:
        """Tell whether an idle connection is still open and silent, also if the hub has not looked yet."""
        if self.is_spent:
            return False
        try:
            self._sock.recv(1, stdlib_socket.MSG_PEEK)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False  # closed by the peer, or bytes nobody asked for

    def close(self) -> None:
        """Close without ceremony."""
        self._watcher.stop()
        self._watcher.close()
        self._sock.close()


def ask_for_stamps(sock: stdlib_socket.socket) -> None:
    """Have the kernel note when packets arrive; elsewhere than on Linux the user clock has to do."""
    with suppress(OSError):
        sock.setsockopt(stdlib_socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)


def _stamp(ancillary: list[tuple[int, int, bytes]]) -> int | None:
    for level, kind, data in ancillary:
        if kind == _SO_TIMESTAMPNS and level == stdlib_socket.SOL_SOCKET:
            seconds, nanoseconds = _TIMESPEC.unpack_from(data)
            return int(seconds) * _NS_PER_S + int(nanoseconds)
    return None

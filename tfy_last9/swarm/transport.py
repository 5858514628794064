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
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

_SO_TIMESTAMPNS = getattr(
    stdlib_socket, "SO_TIMESTAMPNS", 35
)  # 35 on every Linux but alpha, parisc, sparc
_TIMESPEC = struct.Struct("@qq")
_ANCILLARY_BYTES = stdlib_socket.CMSG_SPACE(_TIMESPEC.size)
_READ_BYTES = 65536
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

    __slots__ = ("_keeper", "_offset_ns")

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
        self._offset_ns = best[1]

    def to_monotonic(self, wall_ns: int) -> int:
        """Return the monotonic instant of a wall clock reading."""
        return wall_ns - self._offset_ns


class Connection:
    """One TCP (and TLS) connection to the gateway. Use from one greenlet at a time."""

    __slots__ = ("_incoming", "_outgoing", "_tls", "idle_since_ns", "sock")

    def __init__(self, origin: Origin, context: ssl.SSLContext | None, sock: Any) -> None:
        """Take a connected socket, and shake hands for https. Raises OSError (`ssl.SSLError` is one).

        It waits for as long as the operating system does: run it inside an `Attempt`.
        """
        self.sock = sock
        self.idle_since_ns = 0
        self._tls: ssl.SSLObject | None = None
        self.sock.setsockopt(stdlib_socket.IPPROTO_TCP, stdlib_socket.TCP_NODELAY, 1)
        ask_for_stamps(self.sock)
        if origin.tls:
            assert context is not None
            self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            self._tls = context.wrap_bio(
                self._incoming, self._outgoing, server_hostname=origin.host
            )
            self._shake_hands(self._tls)

    def _shake_hands(self, tls: ssl.SSLObject) -> None:
        while True:
            try:
                tls.do_handshake()
            except ssl.SSLWantReadError:
                self._flush()
                data = self.sock.recv(_READ_BYTES)
                if not data:
                    raise ConnectionResetError("the peer closed during the TLS handshake") from None
                self._incoming.write(data)
            except ssl.SSLError:
                with suppress(OSError):  # the alert that tells the peer why
                    self._flush()
                raise
            else:
                self._flush()
                return

    def _flush(self) -> None:
        if self._outgoing.pending:
            self.sock.sendall(self._outgoing.read())

    def send(self, data: bytes) -> None:
        """Hand all of `data` to the kernel, then make the socket non-blocking for `receive`."""
        self.sock.settimeout(None)
        if self._tls is None:
            self.sock.sendall(data)
        else:
            self._tls.write(data)
            self._flush()
        self.sock.setblocking(False)

    def receive(self) -> tuple[bytes, int | None] | None:
        """Return (plaintext, kernel wall time or None); None at the end of input.

        Raises BlockingIOError when nothing is there. Plaintext may be empty although bytes came (TLS).
        """
        data, ancillary, _, _ = self.sock.recvmsg(_READ_BYTES, _ANCILLARY_BYTES)
        if not data:
            return None
        stamp = _stamp(ancillary)
        if self._tls is None:
            return data, stamp
        self._incoming.write(data)
        plain = []
        try:
            while piece := self._tls.read(_READ_BYTES):
                plain.append(piece)
        except (ssl.SSLWantReadError, ssl.SSLZeroReturnError):
            pass
        return b"".join(plain), stamp

    def is_usable(self) -> bool:
        """Tell whether an idle connection is still open and silent."""
        try:
            self.sock.setblocking(False)
            self.sock.recv(1, stdlib_socket.MSG_PEEK)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False  # closed by the peer, or bytes nobody asked for

    def close(self) -> None:
        """Close without ceremony."""
        self.sock.close()


def ask_for_stamps(sock: stdlib_socket.socket) -> None:
    """Have the kernel note when packets arrive; elsewhere than on Linux the user clock has to do."""
    with suppress(OSError):
        sock.setsockopt(stdlib_socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)


def _stamp(ancillary: list[tuple[int, int, bytes]]) -> int | None:
    for level, kind, data in ancillary:
        if level == stdlib_socket.SOL_SOCKET and kind == _SO_TIMESTAMPNS:
            seconds, nanoseconds = _TIMESPEC.unpack(data[: _TIMESPEC.size])
            return int(seconds) * _NS_PER_S + int(nanoseconds)
    return None

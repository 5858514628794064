"""Making connections: names looked up once a minute, each address tried in turn, through a proxy if told to."""

from __future__ import annotations

import ssl
import time
from dataclasses import dataclass
from typing import Any

from gevent import socket
from gevent.lock import Semaphore

from tfy_last9.adapters.network import Proxy
from tfy_last9.swarm.transport import Connection, Origin
from tfy_last9.wire.http1 import ProtocolError, ResponseReader, request_head

LOOK_UP_AGE_S = 60.0
"""How long addresses are kept: a balancer that moves is followed, and no stream waits for a resolver."""
_OK = 200
_READ_BYTES = 4096


class ProxyRefused(OSError):
    """The proxy did not open a tunnel."""


@dataclass(frozen=True, slots=True)
class _Known:
    addresses: tuple[tuple[Any, Any], ...]
    """Pairs of family and socket address, IPv6 and IPv4 as the resolver sorts them."""
    until_s: float


class Dialler:
    """Connects to one origin."""

    def __init__(self, origin: Origin, tls: ssl.SSLContext | None, proxy: Proxy | None) -> None:
        self._origin = origin
        self._tls = tls
        self._proxy = proxy
        self._place = (origin.host, origin.port) if proxy is None else (proxy.host, proxy.port)
        self._known: _Known | None = None
        self._looking_up = Semaphore()

    def dial(self) -> Connection:
        """Connect, by way of the proxy if there is one, and shake hands for https. Raises OSError."""
        sock = self._connect()
        try:
            if self._proxy is not None:
                open_tunnel(sock, self._origin, self._proxy)
            return Connection(self._origin, self._tls, sock)
        except BaseException:
            sock.close()
            raise

    def _connect(self) -> Any:
        last: OSError | None = None
        for family, address in self._addresses():
            sock = socket.socket(family, socket.SOCK_STREAM)
            try:
                sock.connect(address)
            except OSError as error:
                sock.close()
                last = error
            except BaseException:
                sock.close()
                raise
            else:
                return sock
        self._known = None  # perhaps the name stands for other machines by now
        raise last or OSError("the host name has no address")

    def _addresses(self) -> tuple[tuple[Any, Any], ...]:
        with self._looking_up:  # one look-up, however many streams begin at once
            known = self._known
            if known is None or known.until_s < time.monotonic():
                found = socket.getaddrinfo(*self._place, type=socket.SOCK_STREAM)
                addresses = tuple((family, address) for family, _, _, _, address in found)
                known = self._known = _Known(addresses, time.monotonic() + LOOK_UP_AGE_S)
            return known.addresses


def open_tunnel(sock: Any, origin: Origin, proxy: Proxy) -> None:
    """Ask a proxy for a tunnel to the origin. Raises `ProxyRefused`."""
    host = f"[{origin.host}]" if ":" in origin.host else origin.host
    headers = {"host": f"{host}:{origin.port}"}
    if proxy.authorization is not None:
        headers["proxy-authorization"] = proxy.authorization
    sock.sendall(request_head("CONNECT", f"{host}:{origin.port}", headers))
    reader = ResponseReader()
    head = b""
    while b"\r\n\r\n" not in head:
        data = sock.recv(_READ_BYTES)
        if not data or len(head) > 16 * _READ_BYTES:
            raise ProxyRefused("the proxy closed the connection")
        head += data
    try:
        reader.feed(head.partition(b"\r\n\r\n")[0] + b"\r\n\r\n")
    except ProtocolError as error:
        raise ProxyRefused("the proxy does not speak HTTP/1.1") from error
    if reader.status != _OK:
        raise ProxyRefused(f"the proxy answered {reader.status}")

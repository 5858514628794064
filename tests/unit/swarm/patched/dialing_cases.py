"""How connections are made: proxies, name look-ups, several addresses, both versions of IP."""

from base64 import b64encode
from contextlib import suppress
from types import SimpleNamespace

import gateway_double as double
import gevent
import pytest
from gateway_double import ANSWER, KEY, LIMITS, ask
from gevent import socket
from gevent.server import StreamServer
from tls_cases import papers, serving, trusting

from tfy_last9.adapters.network import proxy_for
from tfy_last9.swarm import dialing
from tfy_last9.swarm.stream import StreamDriver

__all__ = ["papers", "trusting"]  # fixtures


class Tunnels:
    """A proxy that opens tunnels, or refuses."""

    def __init__(self, answer=b"HTTP/1.1 200 Connection established\r\n\r\n"):
        self._answer = answer
        self.heads = []
        self.seen = b""
        self._server = StreamServer(("127.0.0.1", 0), self._serve)
        self._server.start()
        self.url = f"http://jane:s%40t@127.0.0.1:{self._server.server_port}"

    def _serve(self, sock, _):
        head = b""
        while b"\r\n\r\n" not in head:
            head += sock.recv(4096)
        self.heads.append(head.decode())
        sock.sendall(self._answer)
        if b" 200 " not in self._answer:
            sock.close()
            return
        host, port = self.heads[-1].split()[1].rsplit(":", 1)
        peer = socket.create_connection((host, int(port)))
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        gevent.joinall([gevent.spawn(self._copy, sock, peer), gevent.spawn(self._copy, peer, sock)])
        peer.close()

    def _copy(self, source, sink):
        try:
            while data := source.recv(65536):
                self.seen += data
                sink.sendall(data)
        except OSError:
            pass
        for sock in (source, sink):
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def stop(self):
        self._server.stop(timeout=0)


def through(proxy, url):
    client = StreamDriver(url, KEY, LIMITS, proxy=proxy_for(url, {"HTTPS_PROXY": proxy.url}))
    gevent.sleep(0.02)
    return client


def test_https_goes_through_the_proxy_and_the_proxy_sees_neither_key_nor_prompt(trusting):
    proxy = Tunnels()
    with serving(trusting) as server:
        client = through(proxy, server.url)
        answers = [ask(client), ask(client)]
        client.close()
        place = f"localhost:{server.port}"
    proxy.stop()
    assert [answer.outcome for answer in answers] == ["ok", "ok"]
    assert {answer.clock for answer in answers} == {"kernel"}
    assert len(proxy.heads) == 1, "the tunnel was not kept"
    assert proxy.heads[0].startswith(f"CONNECT {place} HTTP/1.1\r\n")
    pair = b64encode(b"jane:s@t").decode()
    assert f"proxy-authorization: Basic {pair}" in proxy.heads[0]
    assert KEY not in proxy.heads[0]
    assert KEY.encode() not in proxy.seen
    assert b"Hello" not in proxy.seen


def test_the_certificate_is_verified_through_a_proxy_too(papers):
    proxy = Tunnels()
    with serving(papers) as server:
        client = through(proxy, server.url)
        answer = ask(client)
        client.close()
    proxy.stop()
    assert answer.error_type == "certificate_refused"


@pytest.mark.parametrize("reply", [b"HTTP/1.1 407 Who are you\r\n\r\n", b"", b"nonsense\r\n\r\n"])
def test_a_proxy_that_opens_no_tunnel_is_named(reply):
    proxy = Tunnels(reply)
    client = through(proxy, "https://gateway.invalid")
    answer = ask(client)
    client.close()
    proxy.stop()
    assert (answer.outcome, answer.error_type) == ("connect_error", "proxy_refused")
    assert not answer.written


def test_a_bundle_of_ones_own_is_trusted_besides(papers):
    with serving(papers) as server:
        client = StreamDriver(server.url, KEY, LIMITS, ca_bundle=str(papers / "ca.pem"))
        answer = ask(client)
        client.close()
    assert answer.outcome == "ok"


@pytest.fixture
def look_ups(monkeypatch):
    """Count look-ups, and answer them with `addresses` when it holds any."""

    look_ups = SimpleNamespace(names=[], addresses=[])

    def getaddrinfo(host, port, **more):
        look_ups.names.append(host)
        gevent.sleep(0.01)
        if look_ups.addresses:
            return [(family, 1, 6, "", address) for family, address in look_ups.addresses]
        return real(host, port, **more)

    real = dialing.socket.getaddrinfo
    monkeypatch.setattr(dialing.socket, "getaddrinfo", getaddrinfo)
    return look_ups


def slow(peer):
    gevent.sleep(0.05)
    peer.send(ANSWER)


def test_a_name_is_looked_up_once_for_many_connections(look_ups):
    with double.gateway(slow) as server, double.driver(server.url) as client:
        greenlets = [gevent.spawn(ask, client) for _ in range(5)]
        gevent.joinall(greenlets, timeout=5)
        assert server.connections == 5
    assert {greenlet.value.outcome for greenlet in greenlets} == {"ok"}
    assert look_ups.names == ["localhost"]


def test_a_name_is_looked_up_again_after_no_address_answered(look_ups):
    with double.gateway(slow) as server:
        url = server.url
    with double.driver(url) as client:
        assert ask(client).error_type == "connection_refused"
        assert ask(client).error_type == "connection_refused"
    assert len(look_ups.names) == 2


def test_the_next_address_is_tried_when_one_refuses(look_ups):
    with double.gateway(slow) as server, double.driver(server.url) as client:
        closed = socket.create_server(("127.0.0.1", 0))
        dead = closed.getsockname()
        closed.close()
        look_ups.addresses = [(socket.AF_INET, dead), (socket.AF_INET, ("127.0.0.1", server.port))]
        assert ask(client).outcome == "ok"


def test_ipv6_addresses_work():
    try:
        listener = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        return  # a machine without IPv6 cannot show it
    server = double.Gateway(lambda peer: peer.send(ANSWER), listener=listener)
    with double.driver(f"http://[::1]:{server.port}/tenant") as client:
        answer = ask(client)
    server.stop()
    assert answer.outcome == "ok"
    assert f"host: [::1]:{server.port}" in server.requests[0][0]

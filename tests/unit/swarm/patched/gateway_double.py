"""A raw HTTP server in the same process: it says exactly what a case tells it to, byte by byte."""

import socket
import time
from contextlib import contextmanager

import gevent
import orjson
from gevent.server import StreamServer

from tfy_last9.arrivals.schedule import Arrival
from tfy_last9.model.scenario import Api, Limits, Message, Prompt, Target
from tfy_last9.swarm.call import Answer, Call
from tfy_last9.swarm.stream import StreamDriver
from tfy_last9.wire.scripts import first_request

KEY = "a-key-that-nobody-may-see"
LIMITS = Limits(users=10, connect_s=10, first_token_s=10, idle_s=10, total_s=20)
HASTY = Limits(users=10, connect_s=0.4, first_token_s=0.3, idle_s=0.3, total_s=2.0)
HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n"
    b"x-tfy-resolved-model: m-1\r\n\r\n"
)
TARGET = Target(
    name="one",
    model="acc/m",
    provider="openai",
    may_reach=("openai",),
    api=Api.CHAT,
    stream=True,
    weight=1,
    max_tokens=None,
    headers={},
    body={},
)
PROMPT = Prompt((Message("user", "Hello"),))


def event(text, **more):
    delta = {"content": text} | more
    return f'data: {{"choices":[{{"delta":{_json(delta)}}}],"model":"m"}}\n\n'.encode()


def _json(value):
    return orjson.dumps(value).decode()


FINISH = b'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\n'
USAGE = b'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2}}\n\n'
DONE = b"data: [DONE]\n\n"


def chunk(data):
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


END = b"0\r\n\r\n"
ANSWER = HEAD + chunk(event("a")) + chunk(event("b")) + chunk(FINISH + USAGE) + chunk(DONE) + END


class Gateway:
    """Answers each request by calling `script(connection)`; counts connections and keeps requests."""

    def __init__(self, script, listener=("127.0.0.1", 0), **tls):
        self._script = script
        self.connections = 0
        self.requests = []
        self.sent_ns = []
        self._server = StreamServer(listener, self._serve, **tls)
        self._server.start()
        scheme = "https" if tls else "http"
        self.url = f"{scheme}://localhost:{self._server.server_port}/tenant"
        self.port = self._server.server_port

    def _serve(self, sock, _):
        self.connections += 1
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        peer = Peer(sock, self)
        try:
            while peer.read_request():
                self._script(peer)
        except (OSError, PeerGone):
            pass
        finally:
            sock.close()

    def stop(self):
        self._server.stop(timeout=0)


class PeerGone(Exception):
    """The script closed the connection."""


class Peer:
    """The server's side of one connection."""

    def __init__(self, sock, gateway):
        self.sock = sock
        self._gateway = gateway

    def read_request(self):
        data = b""
        while b"\r\n\r\n" not in data:
            piece = self.sock.recv(65536)
            if not piece:
                return False
            data += piece
        head, _, body = data.partition(b"\r\n\r\n")
        length = next(
            int(line.split(b":")[1])
            for line in head.split(b"\r\n")
            if line.lower().startswith(b"content-length")
        )
        while len(body) < length:
            body += self.sock.recv(65536)
        self._gateway.requests.append((head.decode(), body))
        return True

    def send(self, *pieces, every_s=0.0):
        for piece in pieces:
            self._gateway.sent_ns.append(time.monotonic_ns())
            self.sock.sendall(piece)
            gevent.sleep(every_s)

    def close(self):
        raise PeerGone


@contextmanager
def gateway(script, **tls):
    server = Gateway(script, **tls)
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def driver(url, limits=LIMITS, kind=StreamDriver):
    client = kind(url, KEY, limits)
    gevent.sleep(0.02)  # the kernel begins to stamp packets a moment after it was asked to
    try:
        yield client
    finally:
        client.close()


def call(target=TARGET, headers=None, seq=0):
    arrival = Arrival(seq, 0, "steady", 0, 0)
    return Call(
        arrival, f"run.{seq}", target, first_request(target, PROMPT), headers or {}, "0" * 32
    )


def ask(client, **more):
    sent = call(**more)
    answer = Answer(started_ns=time.monotonic_ns(), facts=sent.outgoing.facts())
    client.send(sent, answer)
    return answer


def answer_to(script, limits=LIMITS, **more):
    """Return what the fast driver makes of one scripted answer."""
    with gateway(script) as server, driver(server.url, limits) as client:
        return ask(client, **more)


class Silent:
    """Accepts connections and never reads."""

    def __init__(self):
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def close(self):
        self._listener.close()

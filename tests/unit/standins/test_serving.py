"""The server's short cuts: chunks that are written at once, and clients that leave."""

import asyncio
import http.client
import socket
import threading

import pytest
import uvicorn

from tfy_last9.standins.asgi import EVENT_STREAM_HEADERS, ClientWatch, read_body, write_now
from tfy_last9.standins.serving import HOST, Protocol, bind

EVENT = b"data: one\n\n"


class App:
    """Streams three events and notes by which way each went, or waits until the client leaves."""

    def __init__(self):
        self.ways = []
        self.left = threading.Event()

    async def __call__(self, scope, receive, send):
        body = await read_body(receive)
        with ClientWatch(scope, receive) as watch:
            if scope["path"] == "/wait":
                await asyncio.Event().wait()
            await self.stream(scope, body, send)
        if watch.left:
            self.left.set()

    async def stream(self, scope, body, send):
        now = write_now(scope)
        self.ways.append(now(b"too early"))
        headers = list(EVENT_STREAM_HEADERS)
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for part in (EVENT, body):
            await asyncio.sleep(0)
            self.ways.append(now(part))
            if not self.ways[-1]:
                await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b"end"})


@pytest.fixture
def served():
    """Give an app and the port on which it is served."""
    app, listener = App(), bind(0)
    config = uvicorn.Config(app, http=Protocol, ws="none", lifespan="off", log_config=None)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    yield app, listener.getsockname()[1]
    server.should_exit = True
    thread.join()


def test_chunks_are_framed_and_only_written_once_the_answer_has_begun(served):
    app, port = served
    connection = http.client.HTTPConnection(HOST, port)
    for body in (b"first", b"second"):  # on one connection
        connection.request("POST", "/stream", body)
        answer = connection.getresponse()
        assert answer.read() == EVENT + body + b"end"
    connection.close()
    assert app.ways == [False, True, True] * 2


def test_pipelined_requests_get_their_own_answers_in_order(served):
    _, port = served
    request = b"POST /stream HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\n\r\n%b"
    with socket.create_connection((HOST, port)) as raw:
        raw.sendall(b"".join(request % letter for letter in (b"a", b"b", b"c")))
        found = b""
        while found.count(b"0\r\n\r\n") < 3:
            part = raw.recv(65536)
            assert part, found
            found += part
    bodies = [answer.rpartition(b"\r\n1\r\n")[2][:1] for answer in found.split(b"HTTP/1.1")[1:]]
    assert bodies == [b"a", b"b", b"c"]


@pytest.mark.parametrize("size", [1, 300_000])  # large bodies make the server pause reading
def test_a_client_that_leaves_is_noticed_while_the_app_works(served, size):
    app, port = served
    head = b"POST /wait HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % size
    with socket.create_connection((HOST, port)) as raw:
        raw.sendall(head + b"x" * size)
    assert app.left.wait(20)

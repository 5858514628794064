"""The gateway's forwarding, against a scripted provider on a loopback socket."""

import asyncio
import contextlib
import json
from dataclasses import dataclass, field

import pytest
from gateway_settings import settings_with

from tfy_last9.standins.gateway.call import Call
from tfy_last9.standins.gateway.client import Client
from tfy_last9.standins.gateway.endpoints import endpoint
from tfy_last9.standins.gateway.envelope import Rejection
from tfy_last9.standins.gateway.formats.chat import Chat
from tfy_last9.standins.gateway.policies import PLAIN
from tfy_last9.standins.gateway.refusal import Refusals
from tfy_last9.standins.gateway.request import ModelRequest
from tfy_last9.standins.gateway.story import Story
from tfy_last9.standins.gateway.upstream import HttpUpstream, UpstreamLost

HEAD = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
LAST_CHUNK = b"0\r\n\r\n"
DONE = b"data: [DONE]\n\n"


def event(content: str | None = None, **more) -> bytes:
    choices = [] if content is None else [{"delta": {"content": content}, "finish_reason": None}]
    return (
        b"data: "
        + json.dumps({"id": "x", "model": "m-1", "choices": choices, **more}).encode()
        + b"\n\n"
    )


def chunked(*parts: bytes) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)


USAGE = event(usage={"prompt_tokens": 7, "completion_tokens": 2})
WHOLE_STREAM = [event(""), event(" a"), event(" b"), USAGE, DONE]


@dataclass
class Provider:
    """Answers each request of each connection with the next script: writes, with yields between."""

    scripts: list[list[bytes]]
    close_after: bool = False
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0

    async def handle(self, reader, writer):
        self.connections += 1
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while self.scripts:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
                self.requests.append(await reader.readexactly(length))
                for part in self.scripts.pop(0):
                    writer.write(part)
                    await writer.drain()
                    await asyncio.sleep(0)
                if self.close_after:
                    break
        writer.close()
        await writer.wait_closed()

    @contextlib.asynccontextmanager
    async def upstream(self):
        async with await asyncio.start_server(self.handle, "127.0.0.1", 0) as server:
            upstream = HttpUpstream("127.0.0.1", server.sockets[0].getsockname()[1])
            try:
                yield upstream
            finally:
                upstream.close()


def chat(upstream, *, wants_usage=True, stream=True):
    sent = []

    async def send(message):
        sent.append(message)

    model = "openai-main/gpt-4o-mini"
    body = {
        "model": model,
        "messages": [{"role": "user", "content": "hi"}],
        "stream": stream,
        "stream_options": {"include_usage": wants_usage},
    }
    story = Story(1, 2, None, received_ns=0, wall_offset_ns=0, streaming=stream)
    request = ModelRequest(model, body, stream, PLAIN[model])
    return Call(story, request, Chat(), upstream, Client(story, send)), sent


def bodies(sent) -> list[bytes]:
    return [message["body"] for message in sent if message["type"] == "http.response.body"]


async def serve(provider, **options):
    async with provider.upstream() as upstream:
        served, sent = chat(upstream, **options)
        await served.serve()
    return served.story, sent


@pytest.mark.parametrize("step", [1, 7, 10_000])
def test_each_event_is_a_write_of_its_own_however_the_bytes_arrive(step):
    """Merged events would share one arrival instant and falsify the gaps between tokens."""
    raw = HEAD + chunked(*WHOLE_STREAM) + LAST_CHUNK
    script = [raw[i : i + step] for i in range(0, len(raw), step)]
    story, sent = asyncio.run(serve(Provider([script])))
    assert bodies(sent)[:3] == WHOLE_STREAM[:3]
    assert bodies(sent)[-1] == DONE
    assert len(bodies(sent)) == story.events_sent == 5
    assert story.attempts[0].content_events == 2
    assert "".join(story.attempts[0].text) == " a b"


def test_the_usage_event_gains_a_price_and_nothing_else():
    _, sent = asyncio.run(serve(Provider([[HEAD + chunked(*WHOLE_STREAM) + LAST_CHUNK]])))
    usage = json.loads(bodies(sent)[3][6:])["usage"]
    assert usage == {
        "prompt_tokens": 7,
        "completion_tokens": 2,
        "costInUSD": pytest.approx(7 * 0.15e-6 + 2 * 0.6e-6),
    }


def test_the_trace_knows_the_tokens_even_if_the_client_did_not_ask():
    provider = Provider([[HEAD + chunked(*WHOLE_STREAM) + LAST_CHUNK]])
    story, sent = asyncio.run(serve(provider, wants_usage=False))
    assert len(bodies(sent)) == 4
    assert story.attempts[0].input_tokens == 7
    assert json.loads(provider.requests[0])["stream_options"] == {"include_usage": True}


def test_connections_are_reused_after_a_complete_answer():
    async def twice():
        provider = Provider([[HEAD + chunked(*WHOLE_STREAM) + LAST_CHUNK]] * 2)
        async with provider.upstream() as upstream:
            for _ in range(2):
                await chat(upstream)[0].serve()
        return provider.connections

    assert asyncio.run(twice()) == 1


def test_a_stale_connection_is_replaced_without_the_client_noticing():
    async def twice():
        script = [HEAD + chunked(*WHOLE_STREAM) + LAST_CHUNK]
        provider = Provider([script, script], close_after=True)
        async with provider.upstream() as upstream:
            for _ in range(2):
                served, _ = chat(upstream)
                await served.serve()
                assert served.story.outcome == "ok"
        return provider.connections

    assert asyncio.run(twice()) == 2


def test_a_stream_that_breaks_off_has_begun_and_is_reported():
    refusals = Refusals(settings_with())

    async def broken():
        provider = Provider([[HEAD + chunked(event(" a"))]], close_after=True)
        async with provider.upstream() as upstream:
            served, sent = chat(upstream)
            with pytest.raises(Rejection, match="closed the connection") as caught:
                await served.serve()
            await refusals.break_off(
                endpoint("/chat/completions", "POST"), caught.value, served.client
            )
        return served, sent

    served, sent = asyncio.run(broken())
    assert served.client.started
    assert served.story.attempts[0].error_message
    last = bodies(sent)[-1]
    assert json.loads(last[6:])["error"]["type"] == "APIError"
    assert DONE not in bodies(sent)


def test_a_provider_that_is_not_there_is_a_503_before_anything_was_sent():
    async def unreachable():
        async with Provider([]).upstream() as upstream:
            port = upstream._port
        served, sent = chat(HttpUpstream("127.0.0.1", port))
        with pytest.raises(Rejection) as caught:
            await served.serve()
        return caught.value, sent

    rejection, sent = asyncio.run(unreachable())
    assert rejection.status == 503
    assert sent == []


def test_nonsense_instead_of_http_is_a_lost_upstream():
    async def nonsense():
        async with Provider([[b"SSH-2.0-OpenSSH\r\n\r\n"]]).upstream() as upstream:
            with pytest.raises(UpstreamLost):
                await upstream.send("POST", "/", b"{}")

    asyncio.run(nonsense())

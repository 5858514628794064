"""The two drivers on the same traffic: where the openai SDK can tell, both tell the same."""

import pytest
from gateway_double import (
    ANSWER,
    DONE,
    END,
    FINISH,
    HEAD,
    KEY,
    USAGE,
    ask,
    chunk,
    driver,
    event,
    gateway,
)

from tfy_last9.adapters.environment import GatewaySettings
from tfy_last9.swarm.sdk import OpenAiDriver
from tfy_last9.swarm.stream import StreamDriver


def sdk(url, key, limits):
    return OpenAiDriver(GatewaySettings(url, key), limits)


def refusal(status, body):
    head = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


TOOL = event(
    "",
    tool_calls=[
        {"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": "{"}}
    ],
)
TRAFFIC = {
    "one write": [ANSWER],
    "many writes": [
        HEAD,
        *(chunk(event(text)) for text in "abc"),
        chunk(FINISH),
        chunk(USAGE),
        chunk(DONE) + END,
    ],
    "odd cuts": [ANSWER[place : place + 7] for place in range(0, len(ANSWER), 7)],
    "reasoning": [
        HEAD,
        chunk(event("", reasoning_content="hm")),
        chunk(event("x")),
        chunk(FINISH),
        chunk(DONE) + END,
    ],
    "tool call": [HEAD, chunk(TOOL), chunk(FINISH), chunk(DONE) + END],
    "early close": [HEAD, chunk(event("a")), None],
    "error event": [
        HEAD,
        chunk(event("a")),
        chunk(b'data: {"error":{"type":"busy","message":"m"}}\n\n'),
        chunk(DONE) + END,
    ],
    "bad key": [refusal(401, b'{"error":{"type":"auth","message":"no"}}')],
    "rate limit": [refusal(429, b'{"message":"Rate limit exceeded for model x"}')],
    "provider down": [refusal(502, b'{"provider":"openai","message":"down"}')],
}


def told(answer):
    facts = answer.facts
    counted = (facts.chunks, facts.reasoning_chunks, facts.tool_chunks, facts.tool_calls)
    words = (facts.finish_reason, facts.resolved_model, facts.input_tokens, facts.output_tokens)
    return (str(answer.outcome), answer.status, answer.written, counted, words)


@pytest.mark.parametrize("name", TRAFFIC)
def test_both_drivers_make_the_same_of_the_same_traffic(name):
    pieces = TRAFFIC[name]

    def script(peer):
        for piece in pieces:
            if piece is None:
                peer.close()
            peer.send(piece, every_s=0.002)

    answers = []
    for kind in (StreamDriver, sdk):
        with gateway(script) as server, driver(server.url, kind=kind) as client:
            answer = ask(client)
            answers.append(told(answer))
            head, body = server.requests[0]
            assert f"bearer {KEY}".lower() in head.lower()
            assert b'"stream":true' in body.replace(b" ", b"")
            if answer.facts.first_token_ns is not None:
                assert answer.facts.first_token_ns >= server.sent_ns[0]
                assert answer.facts.last_token_ns >= answer.facts.first_token_ns
    assert answers[0] == answers[1]

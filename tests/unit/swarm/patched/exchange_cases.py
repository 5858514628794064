"""The fast driver over real sockets: each way an answer can end is told apart from every other."""

import gzip
import time
from dataclasses import replace

import gateway_double as double
import gevent
import pytest
from gateway_double import ANSWER, DONE, END, FINISH, HEAD, KEY, USAGE, answer_to, ask, chunk, event

from tfy_last9.stats.histogram import Histogram
from tfy_last9.swarm.call import Answer
from tfy_last9.swarm.exchange import TimeLimits


def saying(*pieces, every_s=0.0, close=False):
    def script(peer):
        peer.send(*pieces, every_s=every_s)
        if close:
            peer.close()

    return script


def facts_of(answer):
    facts = answer.facts
    return (facts.chunks, facts.finish_reason, facts.input_tokens, facts.output_tokens, facts.done)


def test_a_stream_is_read_to_its_end():
    answer = answer_to(saying(ANSWER))
    assert (answer.outcome, answer.status, answer.error_type) == ("ok", 200, None)
    assert facts_of(answer) == (2, "stop", 3, 2, True)
    assert answer.written
    assert answer.bytes_in == len(ANSWER)
    assert answer.headers["x-tfy-resolved-model"] == "m-1"
    assert answer.started_ns <= answer.first_byte_ns <= answer.facts.first_token_ns
    assert answer.facts.first_token_ns <= answer.facts.last_token_ns <= answer.finished_ns


@pytest.mark.parametrize("size", [1, 7, 100])
def test_the_facts_are_the_same_however_the_bytes_arrive(size):
    pieces = [ANSWER[i : i + size] for i in range(0, len(ANSWER), size)]
    assert facts_of(answer_to(saying(*pieces))) == (2, "stop", 3, 2, True)


def test_the_request_names_the_gateways_path_and_carries_key_and_body():
    with double.gateway(saying(ANSWER)) as server, double.driver(server.url) as client:
        ask(client, headers={"X-Own": "1", "Authorization": "Bearer other"})
        head, body = server.requests[0]
    assert head.startswith("POST /tenant/chat/completions HTTP/1.1\r\n")
    assert f"authorization: Bearer {KEY}" in head
    assert "Bearer other" not in head
    assert "x-own: 1" in head
    assert "accept-encoding: identity" in head
    assert b'"include_usage":true' in body


def test_an_early_close_in_the_middle_is_a_broken_stream():
    answer = answer_to(saying(HEAD, chunk(event("a")), close=True))
    assert (answer.outcome, answer.error_type) == ("stream_broken", "early_close")
    assert answer.facts.first_token_ns is not None


def test_a_close_before_any_byte_is_told_apart():
    answer = answer_to(saying(close=True))
    assert (answer.outcome, answer.error_type) == ("stream_broken", "no_response")
    assert answer.written
    assert answer.first_byte_ns is None


def test_a_stream_without_done_is_broken_although_http_says_it_is_complete():
    answer = answer_to(saying(HEAD, chunk(event("a")), chunk(FINISH), END))
    assert (answer.outcome, answer.error_type) == ("stream_broken", "missing_done")


def test_a_stall_after_the_first_token_is_a_broken_stream():
    def script(peer):
        peer.send(HEAD, chunk(event("a")))
        gevent.sleep(1)

    answer = answer_to(script, double.HASTY)
    assert (answer.outcome, answer.error_type) == ("stream_broken", "stall")
    assert answer.error_message == "silent for 0.3 s"
    assert answer.status == 200


def test_silence_before_the_first_token_is_a_time_out():
    def script(peer):
        peer.send(HEAD, chunk(b": keep-alive\n\n"))
        gevent.sleep(1)

    answer = answer_to(script, double.HASTY)
    assert (answer.outcome, answer.error_type) == ("timeout", "first_token_timeout")
    assert answer.first_byte_ns is not None


def test_a_stream_that_goes_on_for_ever_ends_at_the_total_time_out():
    def script(peer):
        peer.send(HEAD)
        while True:
            peer.send(chunk(event("a")), every_s=0.05)

    limits = double.Limits(users=1, connect_s=1, first_token_s=0.3, idle_s=0.3, total_s=0.5)
    answer = answer_to(script, limits)
    assert (answer.outcome, answer.error_type) == ("timeout", "total_timeout")
    assert answer.facts.chunks > 2


def test_reasoning_and_tool_deltas_are_tokens_but_no_answer():
    first = event("", reasoning_content="hm")
    tool = event("", tool_calls=[{"index": 0}])
    answer = answer_to(
        saying(HEAD, chunk(first), chunk(tool), chunk(event("x")), chunk(DONE), END, every_s=0.01)
    )
    facts = answer.facts
    assert (answer.outcome, facts.chunks) == ("ok", 3)
    assert facts.first_token_ns < facts.first_answer_ns == facts.last_token_ns


def test_an_error_event_in_the_stream_breaks_it_even_if_done_follows():
    error = b'data: {"error":{"type":"overloaded","message":"try later"}}\n\n'
    answer = answer_to(saying(HEAD, chunk(event("a")), chunk(error), chunk(DONE), END))
    assert (answer.outcome, answer.error_type) == ("stream_broken", "overloaded")


@pytest.mark.parametrize(
    "data",
    [b"data: {\n\n", b'data: {"choices":5}\n\n', b'data: {"choices":[null]}\n\n', b"data: 7\n\n"],
)
def test_nonsense_in_the_stream_ends_the_call_and_never_hangs_it(data):
    answer = answer_to(saying(HEAD, chunk(data), END))
    assert answer.outcome == "stream_broken"
    assert answer.error_type in {"bad_event", "missing_done"}


@pytest.mark.parametrize(
    ("status", "body", "outcome", "error_type"),
    [
        (401, b'{"error":{"type":"auth","message":"bad key"}}', "rejected_auth", "auth"),
        (400, b'{"error":{"type":"bad_request","message":"no"}}', "http_error", "bad_request"),
        (
            429,
            b'{"message":"Rate limit exceeded for model x"}',
            "rejected_rate_limit",
            "rate_limit",
        ),
        (502, b'{"provider":"openai","message":"down"}', "provider_error", "provider_502"),
        (302, b"", "http_error", "http_302"),
        (500, b"<html>oops</html>", "http_error", "http_500"),
    ],
)
def test_answers_other_than_200_are_classified_and_the_connection_is_kept(
    status, body, outcome, error_type
):
    head = f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\nLocation: http://evil/\r\n\r\n"
    with double.gateway(saying(head.encode() + body)) as server:
        with double.driver(server.url) as client:
            answers = [ask(client), ask(client)]
        assert server.connections == 1
    for answer in answers:
        assert (answer.outcome, answer.status, answer.error_type) == (outcome, status, error_type)


def test_a_refusal_that_quotes_the_key_does_not_reach_the_row():
    body = f'{{"error":{{"message":"wrong key {KEY} given"}}}}'.encode()
    head = f"HTTP/1.1 401 X\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    answer = answer_to(saying(head + body))
    assert answer.error_message == "wrong key # given"


def test_a_line_break_in_a_header_is_refused_and_nothing_is_sent():
    with double.gateway(saying(ANSWER)) as server, double.driver(server.url) as client:
        answer = ask(client, headers={"x-own": "1\r\nevil: 2"})
        assert not server.requests
    assert (answer.outcome, answer.error_type, answer.written) == ("aborted", "unsendable", False)


def test_connections_are_reused():
    with double.gateway(saying(ANSWER)) as server, double.driver(server.url) as client:
        answers = [ask(client) for _ in range(3)]
        assert server.connections == 1
    assert [answer.connect_ns is None for answer in answers] == [False, True, True]
    assert {answer.outcome for answer in answers} == {"ok"}


def test_a_connection_that_the_peer_closed_while_idle_is_not_used_again():
    def script(peer):
        peer.send(ANSWER)
        peer.close()

    with double.gateway(script) as server, double.driver(server.url) as client:
        outcomes = []
        for _ in range(3):
            outcomes.append(ask(client).outcome)
            gevent.sleep(0.02)
        assert server.connections == 3
    assert outcomes == ["ok"] * 3


def test_bytes_nobody_asked_for_end_a_connection():
    with double.gateway(saying(ANSWER + b"HTTP/1.1 200 OK\r\n\r\n")) as server:
        with double.driver(server.url) as client:
            answers = [ask(client), ask(client)]
        assert server.connections == 2
    assert [facts_of(answer) for answer in answers] == [(2, "stop", 3, 2, True)] * 2


def test_something_else_than_http_is_a_broken_stream():
    answer = answer_to(saying(b"SSH-2.0-OpenSSH_9\r\n"))
    assert (answer.outcome, answer.error_type) == ("stream_broken", "bad_http")


def test_a_body_without_streaming_is_read_whole():
    body = b'{"choices":[{"finish_reason":"length","message":{}}],"usage":{"prompt_tokens":1}}'
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    whole = replace(double.TARGET, stream=False)
    answer = answer_to(saying(head, body), target=whole)
    assert (answer.outcome, answer.facts.finish_reason) == ("ok", "length")
    assert answer.facts.input_tokens == 1
    assert answer.facts.first_token_ns is None


@pytest.mark.parametrize("body", [b"[]", b'{"choices":{}}', b"no", b'{"choices":[7]}'])
def test_a_body_that_holds_no_answer_is_an_error(body):
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    answer = answer_to(saying(head, body), target=replace(double.TARGET, stream=False))
    assert (answer.outcome, answer.error_type) == ("stream_broken", "bad_body")


def test_refused_connections_are_named():
    with double.gateway(saying()) as server:
        url = server.url
    with double.driver(url) as client:
        answer = ask(client)
    assert (answer.outcome, answer.error_type) == ("connect_error", "connection_refused")
    assert not answer.written
    assert answer.finished_ns is not None


def test_an_unknown_host_is_named():
    with double.driver("http://no-such-host.invalid:1") as client:
        answer = ask(client)
    assert (answer.outcome, answer.error_type) == ("connect_error", "dns")


@pytest.mark.parametrize("url", ["http://" + "a" * 70 + ".invalid", "http://a..b"])
def test_a_host_name_that_cannot_be_is_an_unknown_host(url):
    with double.driver(url) as client:
        assert ask(client).error_type == "dns"


def test_a_peer_that_never_reads_is_given_up_after_the_connect_time_out():
    """The request is larger than all socket buffers, so that writing it blocks."""
    server = double.Silent()
    target = replace(double.TARGET, body={"padding": "x" * 20_000_000})
    with double.driver(server.url, double.HASTY) as client:
        answer = ask(client, target=target)
    server.close()
    assert (answer.outcome, answer.error_type) == ("connect_error", "not_written")
    assert not answer.written


def test_aborting_the_driver_ends_calls_in_every_state():
    """One call reads, one writes: both end as aborted, at once, and neither raises."""
    silent = double.Silent()
    large = replace(double.TARGET, body={"padding": "x" * 20_000_000})
    patient = double.Limits(users=1, connect_s=60, first_token_s=60, idle_s=60, total_s=60)
    with double.driver(silent.url, patient) as client:
        greenlets = [gevent.spawn(ask, client), gevent.spawn(ask, client, target=large)]
        gevent.sleep(0.2)
        client.abort()
        gevent.joinall(greenlets, timeout=5)
        answers = [greenlet.value for greenlet in greenlets]
    silent.close()
    assert [(a.outcome, a.error_type) for a in answers] == [("aborted", "run_over")] * 2
    assert [a.written for a in answers] == [True, False]


def test_a_killed_call_keeps_what_it_knew():
    def script(peer):
        peer.send(HEAD, chunk(event("a")))
        gevent.sleep(5)

    answer = Answer(started_ns=time.monotonic_ns())
    with double.gateway(script) as server, double.driver(server.url) as client:
        greenlet = gevent.spawn(client.send, double.call(), answer)
        gevent.sleep(0.1)
        greenlet.kill()
    assert (answer.outcome, answer.status, answer.error_type) == ("aborted", 200, "killed")
    assert answer.facts.chunks == 1
    assert answer.finished_ns >= answer.facts.last_token_ns


def test_the_readings_are_the_kernels_even_when_this_process_is_late():
    """The hub is blocked for 60 ms after the token was sent: a user clock would be late by that."""

    def script(peer):
        peer.send(HEAD)
        gevent.sleep(0.05)
        peer.send(chunk(event("a")))

    def block():
        while len(server.sent_ns) < 2:
            gevent.sleep(0)
        until = time.monotonic() + 0.06
        while time.monotonic() < until:
            pass

    def script_and_end(peer):
        script(peer)
        gevent.sleep(0.02)
        peer.send(chunk(USAGE + DONE) + END)

    with double.gateway(script_and_end) as server, double.driver(server.url) as client:
        blocking = gevent.spawn(block)
        answer = ask(client)
        blocking.join()
    assert answer.outcome == "ok"
    assert answer.clock == "kernel"
    error_ns = answer.facts.first_token_ns - server.sent_ns[1]
    assert 0 <= error_ns < 20e6


def test_time_limits_are_converted_exactly():
    limits = TimeLimits.of(double.HASTY)
    assert (limits.first_token_ns, limits.idle_ns, limits.total_ns) == (
        300_000_000,
        300_000_000,
        2_000_000_000,
    )


@pytest.mark.parametrize("stream", [True, False])
def test_a_compressed_answer_is_named_and_not_taken_for_an_empty_one(stream):
    """Gzip was refused; a gateway that compresses all the same delays chunks until a block is full."""
    body = gzip.compress(event("a") + DONE)
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nContent-Encoding: gzip\r\n\r\n"
    answer = answer_to(saying(head.encode() + body), target=replace(double.TARGET, stream=stream))
    assert (answer.outcome, answer.error_type) == ("stream_broken", "compressed")


def test_a_late_event_on_an_idle_connection_ends_it_before_its_next_use():
    """The hub watches idle connections: bytes nobody asked for are seen without a look."""

    def script(peer):
        peer.send(ANSWER)
        gevent.sleep(0.01)
        peer.send(b"HTTP/1.1 408 Request Timeout\r\n\r\n")

    with double.gateway(script) as server, double.driver(server.url) as client:
        first = ask(client)
        gevent.sleep(0.05)
        assert client._idle[0].is_spent
        second = ask(client)
        assert server.connections == 2
    assert (first.outcome, second.outcome) == ("ok", "ok")


def test_where_the_kernel_stamps_nothing_the_user_clock_is_used_and_said(monkeypatch):
    monkeypatch.setattr("tfy_last9.swarm.transport.ask_for_stamps", lambda _: None)
    with double.gateway(saying(ANSWER)) as server, double.driver(server.url) as client:
        answer = ask(client)
        sent_ns = server.sent_ns[0]
    assert (answer.outcome, answer.clock) == ("ok", "user")
    assert answer.first_byte_ns >= sent_ns


def test_gaps_of_a_stream_are_counted_where_the_session_wants_them():
    counted = Histogram()
    answer = Answer(started_ns=time.monotonic_ns(), facts=double.call().outgoing.facts())
    answer.facts.gaps = counted
    script = saying(HEAD, *(chunk(event("a")) for _ in range(3)), chunk(DONE), END, every_s=0.01)
    with double.gateway(script) as server, double.driver(server.url) as client:
        client.send(double.call(), answer)
    assert counted.total() == answer.facts.chunks - 1 == 2
    low, high = counted.quantile(1.0)
    assert low <= answer.facts.max_gap_ns <= high

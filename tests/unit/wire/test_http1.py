"""HTTP/1.1 responses: complete, cut short, or never begun, however the bytes are cut."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfy_last9.wire.http1 import ProtocolError, ResponseReader, request_head

CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-One: 1\r\n\r\n"
    b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"
)
LENGTH = b"HTTP/1.1 429 Too Many\r\nContent-Length: 4\r\nConnection: close\r\n\r\nslow"
CLOSED = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil the end"


def read(pieces):
    body = bytearray()
    reader = ResponseReader()
    for piece in pieces:
        body += reader.feed(piece)
    return reader, bytes(body)


@pytest.mark.parametrize("cut", range(len(CHUNKED) + 1))
def test_a_chunked_response_is_complete_wherever_it_is_cut(cut):
    reader, body = read([CHUNKED[:cut], CHUNKED[cut:]])
    assert (reader.status, body, reader.complete, reader.keep_alive) == (
        200,
        b"hello world",
        True,
        True,
    )
    assert reader.headers["x-one"] == "1"


def test_connection_close_forbids_another_request():
    reader, body = read([LENGTH])
    assert (reader.status, body, reader.complete, reader.keep_alive) == (429, b"slow", True, False)


def test_a_chunked_response_without_its_last_chunk_is_not_complete():
    """Fail-open trap: an early close must not look like an answer."""
    reader, _ = read([CHUNKED[:-5]])
    reader.end_of_input()
    assert not reader.complete


def test_a_body_that_only_the_close_ends_is_complete_at_the_close():
    reader, body = read([CLOSED])
    assert not reader.complete
    reader.end_of_input()
    assert reader.complete
    assert body == b"until the end"
    assert not reader.keep_alive


def test_an_interim_response_is_passed_over():
    reader, body = read([b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + CHUNKED])
    assert (reader.status, body, reader.complete) == (200, b"hello world", True)
    assert "link" not in reader.headers


def test_something_else_than_http_is_a_protocol_error():
    with pytest.raises(ProtocolError):
        read([b"SSH-2.0-OpenSSH\r\n"])


def test_a_line_break_in_a_header_is_refused():
    with pytest.raises(ValueError, match="line break"):
        request_head("POST", "/x", {"x-tfy-metadata": "a\r\nevil: 1"})


@given(
    st.lists(st.sampled_from([CHUNKED, LENGTH.replace(b"Connection: close\r\n", b"")]), max_size=4),
    st.lists(st.integers(0, 400), max_size=6),
)
def test_a_reader_that_was_used_before_reads_like_a_new_one(responses, cuts):
    """Nothing of one response is left when the next begins on the same connection."""
    used = ResponseReader()
    for response in responses:
        places = [0, *sorted(place % (len(response) + 1) for place in cuts), len(response)]
        pieces = [response[a:b] for a, b in pairwise(places)]
        used.reset()
        body = b"".join(used.feed(memoryview(piece)) for piece in pieces)
        new, expected = read([response])
        assert (body, used.status, used.headers) == (expected, new.status, new.headers)
        assert (used.complete, used.keep_alive) == (True, True)


@given(st.binary(max_size=200), st.integers(0, 300), st.integers(0, 300))
def test_damaged_responses_are_read_the_same_whole_and_cut(damage, place, cut):
    """Body before an error is kept, and the error is the same kind of error."""
    data = CHUNKED[: place % len(CHUNKED)] + damage + CHUNKED[place % len(CHUNKED) :]
    cut %= len(data) + 1

    def outcome(pieces):
        reader, body, failed = ResponseReader(), b"", False
        for piece in pieces:
            try:
                body += reader.feed(piece)
            except ProtocolError:
                body += reader.take_body()
                failed = True
                break
        return body, failed, reader.status, reader.complete, reader.keep_alive and not failed

    assert outcome([data]) == outcome([data[:cut], data[cut:]])


def test_bytes_after_the_response_are_not_its_body_and_end_the_connection():
    reader = ResponseReader()
    body = reader.feed(CHUNKED + CHUNKED)
    assert (body, reader.complete, reader.keep_alive) == (b"hello world", True, False)


def test_fields_of_a_trailer_are_not_fields_of_the_head():
    trailer = b"0\r\nx-one: 2\r\nx-two: 3\r\n\r\n"
    reader, body = read([CHUNKED.replace(b"0\r\n\r\n", trailer)])
    assert (body, reader.complete) == (b"hello world", True)
    assert reader.headers == {"transfer-encoding": "chunked", "x-one": "1"}

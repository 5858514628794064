"""Server-sent events: the same events come out however the bytes are cut."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tfy_last9.wire.sse import ServerEvent, SseParser

STREAM = (
    b"\xef\xbb\xbf: keep-alive\n\n"
    b'data: {"a":1}\n\n'
    b"event: ping\r\ndata: x\r\n\r\n"
    b"data: two\ndata:lines\n\n"
    b"id: 7\nretry: 10\ndata\n\n"
    b"data: [DONE]\n\n"
)
EVENTS = [
    ServerEvent("message", b'{"a":1}'),
    ServerEvent("ping", b"x"),
    ServerEvent("message", b"two\nlines"),
    ServerEvent("message", b""),
    ServerEvent("message", b"[DONE]"),
]


def parse(pieces):
    parser = SseParser()
    return [event for piece in pieces for event in parser.feed(piece)], parser


def test_a_stream_fed_whole_gives_its_events():
    events, parser = parse([STREAM])
    assert events == EVENTS
    assert parser.comments == 1
    assert parser.cut_off() == b""


def test_a_stream_split_at_every_byte_gives_the_same_events():
    for cut in range(len(STREAM) + 1):
        assert parse([STREAM[:cut], STREAM[cut:]])[0] == EVENTS
    assert parse([STREAM[i : i + 1] for i in range(len(STREAM))])[0] == EVENTS


@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_any_cutting_gives_the_same_events(cuts):
    places = [0, *sorted(cuts), len(STREAM)]
    pieces = [STREAM[a:b] for a, b in pairwise(places)]
    assert parse(pieces)[0] == EVENTS


@given(st.binary(max_size=400), st.integers(0, 400))
def test_any_bytes_are_read_the_same_whole_and_cut(data, cut):
    whole, split = SseParser(), SseParser()
    expected = whole.feed(data)
    assert split.feed(data[:cut]) + split.feed(data[cut:]) == expected


def test_an_event_that_never_ends_is_reported_as_cut_off():
    events, parser = parse([b"data: one\n\ndata: tw"])
    assert events == [ServerEvent("message", b"one")]
    assert parser.cut_off() == b"data: tw"


def test_an_event_without_its_blank_line_is_cut_off_too():
    _, parser = parse([b"data: whole line\n"])
    assert parser.cut_off() == b"whole line"

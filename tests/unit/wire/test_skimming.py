"""Reading many events at once gives what reading them one by one gives, on every input."""

import json
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tfy_last9.wire.chat import ChatFacts
from tfy_last9.wire.skeleton import Skeleton, is_text
from tfy_last9.wire.sse import EventReader, SseParser


class Gaps(list):
    def add(self, value, count=1):
        self.extend([value] * count)


class Slow:
    """The same facts without the short cut."""

    def __init__(self, facts):
        self.take_event = facts.take_event


def facts_of(pieces, *, quick):
    facts = ChatFacts(gaps=Gaps())
    reader = EventReader(facts if quick else Slow(facts))
    for place, piece in enumerate(pieces):
        reader.feed(piece, 100 + place)
    return facts, list(facts.gaps)


def both(pieces):
    quick, slow = (facts_of(pieces, quick=value) for value in (True, False))
    assert quick == slow
    return quick[0]


def line(document, **how):
    return b"data: " + json.dumps(document, ensure_ascii=False, **how).encode() + b"\n\n"


def token(text, key="content", **more):
    delta = {key: text}
    return {"id": "c-1", "model": "m", "choices": [{"index": 0, "delta": delta, **more}]}


texts = st.one_of(
    st.sampled_from(
        ["", " word", "\n", '"', "\\", '\\"content\\":"', '"content":"', '"}}]}', "}", "é", "你"]
    ),
    st.text(st.characters(codec="utf-8"), max_size=6),
)
tools = st.lists(
    st.fixed_dictionaries(
        {"index": st.just(0), "function": st.fixed_dictionaries({"arguments": texts})}
    ),
    max_size=1,
)
deltas = st.one_of(
    st.fixed_dictionaries({"content": texts}),
    st.fixed_dictionaries({"content": texts}),
    st.fixed_dictionaries(
        {},
        optional={
            "role": st.just("assistant"),
            "content": st.one_of(st.none(), texts),
            "reasoning_content": texts,
            "reasoning": texts,
            "tool_calls": tools,
        },
    ),
)
choices = st.fixed_dictionaries(
    {"index": st.just(0), "delta": deltas},
    optional={"finish_reason": st.sampled_from([None, "stop"]), "content": texts},
)
documents = st.fixed_dictionaries(
    {"id": st.just("c-1"), "choices": st.lists(choices, min_size=1, max_size=2)},
    optional={
        "model": st.sampled_from(["m", "n", None]),
        "usage": st.sampled_from([None, {"prompt_tokens": 3}]),
        "error": st.sampled_from([None, {"message": "x"}]),
        "obfuscation": texts,
    },
)
events = st.one_of(
    st.builds(line, documents, separators=st.just((",", ":"))),
    st.builds(line, documents),
    st.builds(line, st.builds(token, texts)),
    st.builds(line, st.builds(token, texts)),
    st.sampled_from(
        [
            b"data: [DONE]\n\n",
            b": ping\n\n",
            b"\n\n",
            b"event: x\n",
            b'data: {"choices":\ndata: []}\n\n',
            b"data: {\n\n",
            b'data:{"choices":[]}\n\n',
            b'data: {"choices":[{"delta":{"content":"\xff"}}]}\n\n',
            b'data: {"choices":[{"delta":{"content":"\\ud800"}}]}\n\n',
            b'data: {"choices":[{"delta":{"content":"a\\q"}}]}\r\n\r\n',
        ]
    ),
)


def cut(stream, cuts):
    places = [0, *sorted(place % (len(stream) + 1) for place in cuts), len(stream)]
    return [stream[a:b] for a, b in pairwise(places)]


@settings(max_examples=400)
@given(st.lists(events, max_size=10), st.lists(st.integers(0, 4000), max_size=6))
def test_the_short_cut_changes_no_fact_however_the_stream_is_cut(parts, cuts):
    both(cut(b"".join(parts), cuts))


@settings(max_examples=400)
@given(st.lists(texts, min_size=2, max_size=8), st.integers(0, 2000), st.binary(max_size=3))
@example(["a", "b", "c"], 0, b"")
def test_a_stream_of_tokens_with_damaged_bytes_gives_the_same_facts(words, place, damage):
    stream = b"".join(line(token(word)) for word in words)
    place %= len(stream)
    both([stream[:place] + damage + stream[place + len(damage) :]])
    both([stream[:place] + damage + stream[place:]])
    both([stream[:place]])


def test_a_stream_split_at_every_byte_and_truncated_at_every_byte_gives_the_same_facts():
    words = ["Hi", " you", "\n", "é", "x"]
    usage = {"choices": [], "usage": {"prompt_tokens": 3}}
    stream = b"".join(line(token(word)) for word in words) + line(usage) + b"data: [DONE]\n\n"
    whole = both([stream])
    assert (whole.chunks, whole.done, whole.input_tokens) == (5, True, 3)
    for place in range(len(stream)):
        split = both([stream[:place], stream[place:]])
        assert (split.chunks, split.done) == (5, True)
        both([stream[:place]])


@pytest.mark.parametrize("key", ["content", "reasoning_content", "reasoning"])
def test_tokens_like_the_one_before_are_not_decoded(key, monkeypatch):
    facts = ChatFacts(gaps=Gaps())
    reader = EventReader(facts)
    reader.feed(line(token("a", key)), 1)
    monkeypatch.setattr("tfy_last9.wire.facts.orjson", None)
    reader.feed(line(token(" b", key)), 5)
    reader.feed(b"".join(line(token(word, key)) for word in ("c", "\n", "ü")), 9)
    assert (facts.chunks, facts.max_gap_ns, facts.gaps) == (5, 4, [4, 4, 0, 0])


def test_padded_tokens_are_not_decoded_either(monkeypatch):
    facts = ChatFacts()
    reader = EventReader(facts)

    def padded(text, padding):
        return line(token(text) | {"usage": None, "obfuscation": padding})

    reader.feed(padded("a", "x1"), 1)
    monkeypatch.setattr("tfy_last9.wire.facts.orjson", None)
    reader.feed(padded("b", ""), 5)
    reader.feed(padded("c", "longer") + padded("d", "q"), 9)
    assert (facts.chunks, facts.last_token_ns) == (4, 9)


@given(
    st.lists(st.tuples(texts, texts), min_size=2, max_size=8),
    st.integers(0, 2000),
    st.binary(max_size=3),
)
def test_padded_streams_with_damaged_bytes_give_the_same_facts(words, place, damage):
    stream = b"".join(line(token(word) | {"obfuscation": padding}) for word, padding in words)
    place %= len(stream)
    both([stream[:place] + damage + stream[place + len(damage) :]])
    both([stream[:place], stream[place:]])


def test_reasoning_and_tool_calls_are_tokens_and_told_apart():
    tool = {"index": 0, "function": {"arguments": '{"a":'}}
    stream = [line(token("hm", "reasoning_content"))] * 2 + [line(token("x"))] * 3
    stream += [line(token([tool], "tool_calls"))] * 2
    facts = both(stream)
    assert (facts.chunks, facts.reasoning_chunks, facts.tool_chunks) == (7, 2, 2)
    assert (facts.first_token_ns, facts.first_answer_ns) == (100, 102)


def test_pieces_of_a_tool_call_are_not_decoded(monkeypatch):
    def call(text):
        return line(token([{"index": 0, "function": {"arguments": text}}], "tool_calls"))

    facts = ChatFacts()
    reader = EventReader(facts)
    reader.feed(call('{"a'), 1)
    monkeypatch.setattr("tfy_last9.wire.facts.orjson", None)
    reader.feed(call('": "b"'), 5)
    assert facts.tool_chunks == 2


def test_all_gaps_are_counted_and_tokens_that_come_together_have_none_between():
    facts, gaps = facts_of([line(token("a")) * 3, line(token("b")) * 2], quick=True)
    assert gaps == [0, 0, 1, 0]
    assert facts.chunks == len(gaps) + 1


@given(
    st.binary(max_size=12) | st.text(max_size=6).map(lambda text: json.dumps(text)[1:-1].encode())
)
def test_what_passes_for_text_is_the_inside_of_a_json_string(inside):
    try:
        text = json.loads(b'"' + inside + b'"')
    except ValueError:
        text = ""
    if is_text(inside):
        assert isinstance(text, str)
        assert text != ""


def test_a_member_that_is_not_unique_is_not_learnt():
    for data in (
        b'{"content":"a","x":{"content":"b"}}',
        b'{"content":5}',
        b'{"x":"content"}',
        b'{"\\u0063":1,"content":"a"}',
    ):
        skeleton = Skeleton()
        skeleton.learn(data, b"content")
        assert skeleton.run(b"data: " + data + b"\n\n", 0) == (0, 0)


def test_between_events_means_that_nothing_is_pending():
    parser = SseParser()
    assert parser.is_between_events()
    parser.feed(b"data: a\n\n")
    assert parser.is_between_events()
    for pending in (b"event: x\n", b"data: b\n", b"d"):
        parser = SseParser()
        parser.feed(b"data: a\n\n" + pending)
        assert not parser.is_between_events()

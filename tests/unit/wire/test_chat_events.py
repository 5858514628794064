"""Reading an event in two parts says what decoding it says, or nothing at all."""

import json

import pytest

from tfy_last9.wire.chat import ChatFacts
from tfy_last9.wire.chat_events import SEAM, head_of, rest_of
from tfy_last9.wire.facts import TokenKind


def parts(data):
    place = data.index(SEAM)
    return head_of(data[:place]), rest_of(data[place:])


@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")])
def test_a_head_names_the_model_and_a_rest_what_happened(separators):
    choice = {"index": 0, "delta": {}, "finish_reason": "stop"}
    document = {"id": "c-1", "model": "m", "choices": [choice], "usage": {"prompt_tokens": 3}}
    data = json.dumps(document, separators=separators).encode()
    if separators == (",", ":"):
        head, rest = parts(data)
    else:
        place = data.index(b'"choices"')
        assert data.find(SEAM) == place
        head, rest = head_of(data[:place]), rest_of(data[place:])
    assert head.model == "m"
    assert (rest.kind, rest.finish_reason) == (None, "stop")
    assert rest.common == {"usage": {"prompt_tokens": 3}}


@pytest.mark.parametrize(
    ("delta", "kind"),
    [
        ({"content": "a"}, TokenKind.ANSWER),
        ({"reasoning_content": "a"}, TokenKind.REASONING),
        ({"role": "assistant", "content": ""}, None),
    ],
)
def test_a_rest_says_which_token_it_brings(delta, kind):
    data = json.dumps({"choices": [{"index": 0, "delta": delta}]}).encode()
    assert parts(data)[1].kind is kind


@pytest.mark.parametrize(
    "head",
    [
        b'{"id":"c"',  # no comma
        b'{"outer":{"id":"c",',  # the seam is a level down
        b'{"id":"c',  # ... or in a string
        b'{"id":"c","usage":{"prompt_tokens":3},',
        b'{"error":{"message":"x"},',
        b'{"id":\n"c",',  # two lines of the stream
        b'{"id":"\xff",',
        b"[1,",
    ],
)
def test_a_head_that_is_not_plain_members_is_not_read(head):
    assert head_of(head) is None


@pytest.mark.parametrize(
    "rest",
    [
        b'"choices":[]',
        b'"choices":[]}}',
        b'"choices":[],"error":{"message":"x"}}',
        b'"choices":[],"status":"failure"}',
        b'"choices":[{"delta":{"content":"a"}},{"delta":{"content":"b"}}]}',
        b'"choices":[{"delta":{"tool_calls":[{"function":{"name":"f"}}]}}]}',
        b'"choices":[],\n"usage":null}',
        b'"choices":5}',
    ],
)
def test_a_rest_that_says_more_than_one_thing_is_not_read(rest):
    assert rest_of(rest) is None


def test_streams_with_ids_of_their_own_share_what_recurs():
    """The skeleton of a token learnt in one stream counts the next one's tokens, and no model is carried over."""
    for number, model in enumerate(["m", "n"]):
        shape = b'data: {"id":"c-%d","model":"%b","choices":[{"delta":{"content":"%b"}}]}\n\n'
        block = b"".join(shape % (number, model.encode(), text) for text in (b"a", b"b", b"c"))
        facts = ChatFacts()
        assert facts.skim(block + b"data: [DONE]\n\n", 0, 7) == len(block) + 14
        assert (facts.chunks, facts.resolved_model, facts.done) == (3, model, True)

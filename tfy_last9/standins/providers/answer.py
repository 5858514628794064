"""One simulated answer: how long it is, what it says, and when each piece of it is due.

Time to first token and the gaps between tokens are log-normal and depend only on (seed, provider, k),
k being the number of the request at that provider. The vendors' words for it are in `dialects`.
"""

from __future__ import annotations

import math
import random
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple, overload

import orjson

from tfy_last9.standins.providers.samples import sample
from tfy_last9.standins.providers.vendors import Served, Thinking
from tfy_last9.standins.providers.wish import Tool, Wish

LENGTH_MEDIAN = 120
LENGTH_SIGMA = 0.5
LENGTH_RANGE = (24, 400)
"""Natural answers are longer than 20 tokens, so `max_tokens: 20` always gives exactly 20."""
THINKING_SIGMA = 0.4
THINKING_TOKENS_PER_S = 60
ALOUD_TOKENS = 24
"""Deltas of reasoning that are streamed; a summary, not every token of it."""
FRAGMENT = 6
"""Characters of one piece of JSON: about a token and a half."""
DRAWN_GAPS = 4096
"""A power of two: so many gaps are drawn once, and every answer reads them from a place of its own."""
TEXT = (
    "light scatters in thin air so the short blue waves reach us from every side of the sky while"
    " longer red ones pass straight through and colour only the evening"
)
WORDS = tuple(TEXT.split())


class Kind(Enum):
    """What a piece of an answer is."""

    REASONING = "reasoning"
    TEXT = "text"
    CALL = "call"


class Finish(Enum):
    """Why an answer ends."""

    STOP = "stop"
    LENGTH = "length"
    CALLS = "tool_calls"
    SEQUENCE = "stop_sequence"


Said = tuple[Kind, str, int]
"""Kind, text and number of the call of a piece."""
TOKENS: tuple[Said, ...] = tuple((Kind.TEXT, " " + word, 0) for word in WORDS)


class Piece(NamedTuple):
    """What is sent at one instant."""

    kind: Kind
    text: str
    due_s: float
    """Relative to the arrival of the request."""
    call: int = 0
    """Number of the function call that the text is a fragment of."""


@dataclass(frozen=True, slots=True)
class Pieces(Sequence[Piece]):
    """The pieces of an answer, made when they are asked for.

    Kept as what answers share and numbers: 500 open streams would hold 100,000 objects that the collector
    of cycles looks at again and again, and streams stand still meanwhile.
    """

    said: Sequence[Said]
    dues_s: array[float]

    def __len__(self) -> int:
        return len(self.said)

    def __iter__(self) -> Iterator[Piece]:
        for (kind, text, call), due_s in zip(self.said, self.dues_s, strict=True):
            yield Piece(kind, text, due_s, call)

    @overload
    def __getitem__(self, place: int) -> Piece: ...
    @overload
    def __getitem__(self, place: slice) -> Pieces: ...
    def __getitem__(self, place: int | slice) -> Piece | Pieces:
        if isinstance(place, slice):
            return Pieces(self.said[place], self.dues_s[place])
        kind, text, call = self.said[place]
        return Piece(kind, text, self.dues_s[place], call)


@dataclass(frozen=True, slots=True)
class Plan:
    """What will be said and when."""

    pieces: Pieces
    finish: Finish
    input_tokens: int
    output_tokens: int
    """Reasoning included."""
    reasoning_tokens: int = 0
    calls: tuple[Tool, ...] = ()
    stopped_by: str | None = None

    def joined(self, kind: Kind, call: int = 0) -> str:
        """Give the whole text of one kind."""
        said = self.pieces.said
        return "".join(text for of, text, number in said if of is kind and number == call)


def plan(served: Served, wish: Wish, *, key: str) -> Plan:
    """Draw an answer; the same key gives the same answer."""
    rng = random.Random(key)
    speed = served.speed
    start_s = speed.ttft_median_s * math.exp(rng.gauss(0, speed.ttft_sigma))
    texts, finish, stopped_by = _texts(rng, wish)
    reasoning, start_s, reasoning_tokens = _reasoning(served.thinking, wish, key, start_s)
    gaps_s = _gaps_s(speed.gap_median_s, speed.gap_sigma)
    place = rng.randrange(DRAWN_GAPS)
    dues_s = array("d", (piece.due_s for piece in reasoning))
    due_s = start_s
    for number in range(place, place + len(texts)):
        dues_s.append(due_s)
        due_s += gaps_s[number % DRAWN_GAPS]
    said = [*((piece.kind, piece.text, 0) for piece in reasoning), *texts]
    return Plan(
        Pieces(said, dues_s),
        finish,
        wish.input_tokens,
        len(texts) + reasoning_tokens,
        reasoning_tokens,
        wish.calls,
        stopped_by,
    )


@lru_cache
def _gaps_s(median_s: float, sigma: float) -> tuple[float, ...]:
    """Draw log-normal gaps in seconds; drawing each anew would cost more than writing its token."""
    rng, mu = random.Random(f"gaps|{sigma}"), math.log(median_s)
    return tuple(rng.lognormvariate(mu, sigma) for _ in range(DRAWN_GAPS))


def _texts(rng: random.Random, wish: Wish) -> tuple[list[Said], Finish, str | None]:
    low, high = LENGTH_RANGE
    natural = min(high, max(low, round(rng.lognormvariate(math.log(LENGTH_MEDIAN), LENGTH_SIGMA))))
    start = rng.randrange(len(WORDS))
    if wish.calls:
        return list(_calls(wish.calls)), Finish.CALLS, None
    if wish.schema is not None:
        document = orjson.dumps(sample(wish.schema)).decode()
        found = [(Kind.TEXT, text, 0) for text in fragments(document)]
    else:
        length = natural if wish.max_tokens is None else min(natural, wish.max_tokens)
        found = [TOKENS[(start + i) % len(TOKENS)] for i in range(length)]
        if length < natural:
            return _stopped(found, wish.stops, Finish.LENGTH)
    if wish.max_tokens is not None and len(found) > wish.max_tokens:
        return found[: wish.max_tokens], Finish.LENGTH, None
    return _stopped(found, wish.stops, Finish.STOP)


def _stopped(
    found: list[Said], stops: tuple[str, ...], otherwise: Finish
) -> tuple[list[Said], Finish, str | None]:
    """Cut before the first stop sequence; a token that holds one is left out whole."""
    if not stops:
        return found, otherwise, None
    said = ""
    for count, (_, text, _) in enumerate(found):
        said += text
        hit = next((stop for stop in stops if stop in said), None)
        if hit is not None:
            return found[:count], Finish.SEQUENCE, hit
    return found, otherwise, None


def _calls(tools: tuple[Tool, ...]) -> Iterator[Said]:
    for number, tool in enumerate(tools):
        yield Kind.CALL, "", number
        arguments = orjson.dumps(sample(tool.schema)).decode()
        for text in fragments(arguments):
            yield Kind.CALL, text, number


def fragments(text: str) -> Iterator[str]:
    """Cut a text as a stream of tokens would."""
    places = [*range(0, len(text), FRAGMENT), len(text)]
    return (text[a:b] for a, b in pairwise(places))


def _reasoning(
    thinking: Thinking | None, wish: Wish, key: str, start_s: float
) -> tuple[list[Piece], float, int]:
    """Give the streamed reasoning, the instant at which the answer starts, the tokens spent."""
    wanted = wish.thinks if wish.thinks is not None else thinking is not None and thinking.always
    if thinking is None or not wanted:
        return [], start_s, 0
    rng = random.Random(f"{key}|thinking")
    spent_s = thinking.median_s * math.exp(rng.gauss(0, THINKING_SIGMA))
    tokens = max(1, round(spent_s * THINKING_TOKENS_PER_S))
    if not (thinking.aloud and wish.shows_thinking):
        return [], start_s + spent_s, tokens
    count = min(tokens, ALOUD_TOKENS)
    pieces = [
        Piece(Kind.REASONING, f" {WORDS[i % len(WORDS)]}", start_s + spent_s * i / count)
        for i in range(count)
    ]
    return pieces, start_s + spent_s, tokens

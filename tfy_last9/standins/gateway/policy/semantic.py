"""The semantic cache: a question that is put in nearly the same words gets the same answer.

The real one compares embeddings. This sandbox has no model to make any, and compares how often words occur:
as good for showing what a hit looks like, and as deterministic as the rest.
"""

from __future__ import annotations

import math
import re
from collections import Counter, OrderedDict, deque
from collections.abc import Iterable
from dataclasses import dataclass

from tfy_last9.standins.gateway.policy.cache import Kept

MOST_GROUPS, MOST_IN_GROUP = 1_000, 200
WORD = re.compile(r"\w+")

Words = Counter[str]


def words_of(texts: Iterable[str]) -> Words:
    """Count the words of a question."""
    return Counter(word for text in texts for word in WORD.findall(text.lower()))


def similarity(one: Words, other: Words) -> float:
    """Give the cosine of two counts, from 0 (no word in common) to 1."""
    dot = sum(count * other[word] for word, count in one.items())
    length = math.sqrt(sum(c * c for c in one.values()) * sum(c * c for c in other.values()))
    return dot / length if length else 0.0


@dataclass(frozen=True, slots=True)
class Similar:
    """A kept answer and how alike its question is."""

    kept: Kept
    score: float


class SemanticCache:
    """Answers by group (all of a request but its words); the oldest leave first."""

    def __init__(self) -> None:
        self._groups: OrderedDict[str, deque[tuple[float, Words, Kept]]] = OrderedDict()

    def find(self, group: str, words: Words, threshold: float, now_s: float) -> Similar | None:
        """Give the answer to the question that is most alike, if it is alike enough."""
        alive = [item for item in self._groups.get(group, ()) if item[0] > now_s]
        scored = [Similar(kept, similarity(words, known)) for _, known, kept in alive]
        best = max(scored, key=lambda one: one.score, default=None)
        return best if best is not None and best.score >= threshold else None

    def store(self, group: str, words: Words, kept: Kept, expires_s: float) -> None:
        """Keep an answer."""
        found = self._groups.setdefault(group, deque(maxlen=MOST_IN_GROUP))
        found.append((expires_s, words, kept))
        self._groups.move_to_end(group)
        while len(self._groups) > MOST_GROUPS:
            self._groups.popitem(last=False)

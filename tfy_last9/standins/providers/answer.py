"""One simulated answer: how long it is, what it says, and when each token is due.

Time to first token and the gaps between tokens are log-normal and depend only on (seed, provider, k),
k being the number of the request at that provider. All three vendors speak OpenAI's chunk format
here; their own wire formats are not simulated.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

import orjson

from tfy_last9.standins.providers.vendors import Vendor

TTFT_SIGMA = 0.3
GAP_SIGMA = 0.25
LENGTH_MEDIAN = 120
LENGTH_SIGMA = 0.5
LENGTH_RANGE = (24, 400)
"""Natural answers are longer than 20 tokens, so `max_tokens: 20` always gives exactly 20."""
ROLE_LEAD_S = 0.04
"""The role delta leaves this long before the first token: it must not count as one."""
TOKENS_PER_WORD = 4 / 3
TOKENS_PER_MESSAGE = 4
TEXT = (
    "light scatters in thin air so the short blue waves reach us from every side of the sky while"
    " longer red ones pass straight through and colour only the evening"
)
WORDS = tuple(TEXT.split())


@dataclass(frozen=True, slots=True)
class Plan:
    """What will be said and when, relative to the arrival of the request."""

    tokens: tuple[str, ...]
    due_s: tuple[float, ...]
    finish_reason: str
    input_tokens: int


def plan(vendor: Vendor, *, seed: int, k: int, max_tokens: int | None, input_tokens: int) -> Plan:
    """Draw the k-th answer of a vendor."""
    rng = random.Random(f"{seed}|{vendor.name}|{k}")
    due_s = vendor.ttft_median_s * math.exp(rng.gauss(0, TTFT_SIGMA))
    low, high = LENGTH_RANGE
    natural = min(high, max(low, round(rng.lognormvariate(math.log(LENGTH_MEDIAN), LENGTH_SIGMA))))
    length = natural if max_tokens is None else min(natural, max_tokens)
    start = rng.randrange(len(WORDS))
    tokens = tuple(" " + WORDS[(start + i) % len(WORDS)] for i in range(length))
    mu = math.log(vendor.gap_median_s)
    dues = []
    for _ in tokens:
        dues.append(due_s)
        due_s += rng.lognormvariate(mu, GAP_SIGMA)
    reason = "length" if length < natural else "stop"
    return Plan(tokens, tuple(dues), reason, input_tokens)


def count_input_tokens(messages: list[dict[str, object]]) -> int:
    """Estimate prompt tokens from words; text parts of a multi-part content count, others do not."""
    total = 0
    for message in messages:
        total += TOKENS_PER_MESSAGE + math.ceil(len(_text(message).split()) * TOKENS_PER_WORD)
    return total


def _text(message: dict[str, object]) -> str:
    content = message.get("content")
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return " ".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return ""


def usage(input_tokens: int, output_tokens: int) -> dict[str, object]:
    """Give the usage object of an answer."""
    return {
        "prompt_tokens": input_tokens,
        "completion_tokens": output_tokens,
        "total_tokens": input_tokens + output_tokens,
        "prompt_tokens_details": {"cached_tokens": 0},
    }


@dataclass(frozen=True, slots=True)
class Chunks:
    """Encodes the SSE events of one stream."""

    answer_id: str
    created: int
    model: str

    def _event(self, choices: list[dict[str, object]], **more: object) -> bytes:
        document = {
            "id": self.answer_id,
            "object": "chat.completion.chunk",
            "created": self.created,
            "model": self.model,
            "choices": choices,
            **more,
        }
        return b"data: " + orjson.dumps(document) + b"\n\n"

    def role(self) -> bytes:
        """Give the first event: a role and no content."""
        delta = {"role": "assistant", "content": ""}
        return self._event([{"index": 0, "delta": delta, "finish_reason": None}])

    def token(self, text: str) -> bytes:
        """Give one content delta."""
        return self._event([{"index": 0, "delta": {"content": text}, "finish_reason": None}])

    def finish(self, reason: str) -> bytes:
        """Give the event that ends the choice."""
        return self._event([{"index": 0, "delta": {}, "finish_reason": reason}])

    def usage(self, counts: dict[str, object]) -> bytes:
        """Give the event that `stream_options.include_usage` asks for: no choices, only counts."""
        return self._event([], usage=counts)


DONE = b"data: [DONE]\n\n"

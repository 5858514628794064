"""Any other JSON endpoint of the gateway: rerank, moderations, images, audio.

Status, total time and trace are judged; an answer need not be JSON (speech is sound). What usage there is
is read where OpenAI and Cohere put it; nothing of it is owed.
"""

from __future__ import annotations

from dataclasses import dataclass

import orjson

from tfy_last9.model.scenario import Prompt, Target
from tfy_last9.wire.facts import AnswerFacts, Said
from tfy_last9.wire.json_values import mapped, number, whole, worded

_LISTS = ("results", "data")
"""Rerank and moderations answer with `results`, images with `data`."""


def request_body(target: Target, prompt: Prompt) -> dict[str, object]:
    """Return the JSON body for a target: what it says itself, and the prompt's text where it wants it."""
    body: dict[str, object] = {"model": target.model}
    if target.prompt_key is not None:
        body[target.prompt_key] = "\n".join(message.content for message in prompt.messages)
    return body | dict(target.body)


@dataclass(slots=True)
class HttpFacts(AnswerFacts):
    """What an endpoint answered, as far as that is the same everywhere."""

    def take_event(self, data: bytes, at_ns: int) -> None:
        """Take an event of a stream that nobody asked for: its end is the end of the answer."""
        del at_ns
        if self.kept is not None:
            self.kept.append(data)
        self.done = True

    def take_answer(self, body: bytes) -> None:
        """Take the body of the answer, JSON or not."""
        self.done = True
        if self.kept is not None:
            self.kept.append(body)
        try:
            answer = mapped(orjson.loads(body))
        except ValueError:
            return
        if answer.get("error"):
            self._refuse(answer)
        counts = [len(answer[key]) for key in _LISTS if isinstance(answer.get(key), list)]
        self.items = counts[0] if counts else None
        self.resolved_model = worded(answer.get("model"))
        usage = mapped(answer.get("usage"))
        read = whole(usage.get("prompt_tokens"), whole(usage.get("input_tokens"), None))
        self.input_tokens = read
        self.output_tokens = whole(usage.get("output_tokens"), None)
        self.cost_usd = number(usage.get("costInUSD"), None)

    def said(self) -> Said:
        """Return the body as text."""
        return Said(b"".join(self.kept or ()).decode("utf-8", "replace"))

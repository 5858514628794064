"""OpenAI embeddings: request bodies and the facts of an answer, which is never streamed.

Source: OpenAI API reference, "Embeddings".
"""

from __future__ import annotations

from dataclasses import dataclass

from tfy_last9.model.scenario import Prompt, Target
from tfy_last9.wire.facts import AnswerFacts
from tfy_last9.wire.json_values import listed, mapped, number, whole, worded

PATH = "/embeddings"


def request_body(target: Target, prompt: Prompt) -> dict[str, object]:
    """Return the JSON body for a target: several messages of a prompt are a batch of texts."""
    texts = [message.content for message in prompt.messages]
    given = texts[0] if len(texts) == 1 else texts
    return {"model": target.model, "input": given} | dict(target.body)


@dataclass(slots=True)
class EmbeddingFacts(AnswerFacts):
    """What an embeddings endpoint answered."""

    expected: int | None = None
    """How many texts were sent; None where the body was written by hand."""

    def take_event(self, data: bytes, at_ns: int) -> None:
        """Refuse an event: embeddings are not streamed."""
        del at_ns
        self._event(data)
        self._fail("unasked_stream", "embeddings came as a stream of events")

    def take_answer(self, body: bytes) -> None:
        """Take the body of the answer."""
        answer = self._body(body)
        if answer.get("error") is not None:
            self._refuse(answer)
            return
        found = [item for item in listed(answer.get("data")) if item.get("embedding")]
        self.items = len(found)
        if not found or self.expected not in (None, len(found)):
            wanted = "any" if self.expected is None else f"{self.expected}"
            self._fail("bad_body", f"the answer holds {len(found)} embeddings, expected {wanted}")
        self.resolved_model = worded(answer.get("model"))
        usage = mapped(answer.get("usage"))
        self.input_tokens = whole(usage.get("prompt_tokens"), None)
        self.cost_usd = number(usage.get("costInUSD"), None)
        self.done = True

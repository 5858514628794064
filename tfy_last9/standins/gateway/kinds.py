"""What a request is, as traces name it: the type of its root span and of its Model spans.

`ChatCompletion`, `Completion`, `Embedding`, `Rerank`, `AgentResponse`, `MCPGateway` and the request
type `CreateModelResponse` are documented. The documentation says that images, moderations and audio
are traced as well, and not under which names: those are this stand-in's own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of request."""

    span_type: str
    """`tfy.span_type` of the root, and the beginning of its name."""
    request_type: str
    """`tfy.model.request_type` of its Model spans."""

    def own(self) -> Kind:
        """Give the kind whose root is named by its request type."""
        return replace(self, span_type=self.request_type)


CHAT = Kind("ChatCompletion", "ChatCompletion")
COMPLETION = Kind("Completion", "Completion")
MESSAGES = Kind("ChatCompletion", "Messages")
RESPONSES = Kind("ChatCompletion", "CreateModelResponse")
GEMINI = Kind("ChatCompletion", "GenerateContent")
EMBEDDING = Kind("Embedding", "Embedding")
RERANK = Kind("Rerank", "Rerank")
MODERATION = Kind("Moderation", "Moderation")
IMAGE = Kind("Image", "Image")
SPEECH = Kind("Audio", "AudioSpeech")
TRANSCRIPTION = Kind("Audio", "AudioTranscription")
AGENT = Kind("AgentResponse", "ChatCompletion")
MCP = Kind("MCPGateway", "")

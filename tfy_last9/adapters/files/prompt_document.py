"""The shapes of prompts: one message, a conversation spelled out, and the turns that follow."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from tfy_last9.adapters.files.scenario_parts import (
    Duration,
    HeaderName,
    MetadataKey,
    Part,
    Text,
)
from tfy_last9.errors import ConfigurationError
from tfy_last9.model.conversation import FollowUp, Image, Sessions
from tfy_last9.model.scenario import Message, Prompt
from tfy_last9.wire.image import png


class ImagePart(Part):
    """A synthetic picture of so many bytes."""

    bytes: Annotated[int, Field(ge=1, le=50_000_000)]
    width: Annotated[int, Field(ge=1, le=8192)] = 512
    height: Annotated[int, Field(ge=1, le=8192)] = 512

    @model_validator(mode="after")
    def _can_be_made(self) -> ImagePart:
        try:
            png(_image(self))
        except ConfigurationError as error:
            raise ValueError(error.message) from None
        return self


class MessagePart(Part):
    """One chat message."""

    role: Literal["system", "developer", "user", "assistant"]
    content: Text
    image: ImagePart | None = None


class TurnPart(Part):
    """A later turn: the user goes on, or the tools that were called answer."""

    user: Text | None = None
    image: ImagePart | None = None
    tool_results: Annotated[dict[Text, str], Field(min_length=1)] | None = None
    think: Duration | None = None

    @model_validator(mode="after")
    def _says_one_thing(self) -> TurnPart:
        if (self.user is None) == (self.tool_results is None):
            raise ValueError("a turn needs user, or tool_results (tool to result); not both")
        if self.image is not None and self.user is None:
            raise ValueError("an image goes with what the user says, not with tool_results")
        return self


class PairPrompt(Part):
    """A user message, with or without a system message before it."""

    user: Text
    system: Text | None = None
    image: ImagePart | None = None
    turns: list[TurnPart] = Field(default_factory=list)


class MessagesPrompt(Part):
    """A conversation spelled out."""

    messages: Annotated[list[MessagePart], Field(min_length=1)]
    turns: list[TurnPart] = Field(default_factory=list)


class SessionsPart(Part):
    """How turns follow each other, and what keeps a conversation on one target."""

    think: Duration | None = None
    spread: Literal["constant", "exponential"] = "constant"
    header: HeaderName | None = None
    metadata_key: MetadataKey = "session_id"


def _prompt_kind(value: Any) -> str:
    if isinstance(value, str):
        return "text"
    return "MessagesPrompt" if isinstance(value, dict) and "messages" in value else "PairPrompt"


PromptPart = Annotated[
    Annotated[Text, Tag("text")]
    | Annotated[PairPrompt, Tag("PairPrompt")]
    | Annotated[MessagesPrompt, Tag("MessagesPrompt")],
    Discriminator(_prompt_kind),
]


def prompt_of(part: str | PairPrompt | MessagesPrompt) -> Prompt:
    """Return the prompt that a part stands for."""
    match part:
        case str():
            return Prompt((Message("user", part),))
        case PairPrompt():
            system = () if part.system is None else (Message("system", part.system),)
            user = Message("user", part.user, _image(part.image))
            return Prompt((*system, user), _follow_ups(part.turns))
        case MessagesPrompt():
            said = (Message(one.role, one.content, _image(one.image)) for one in part.messages)
            return Prompt(tuple(said), _follow_ups(part.turns))


def sessions_of(part: SessionsPart) -> Sessions:
    """Return how conversations go on."""
    is_exponential = part.spread == "exponential"
    return Sessions(part.think or 0.0, is_exponential, part.header, part.metadata_key)


def _follow_ups(parts: list[TurnPart]) -> tuple[FollowUp, ...]:
    return tuple(
        FollowUp(part.user, _image(part.image), dict(part.tool_results or {}), part.think)
        for part in parts
    )


def _image(part: ImagePart | None) -> Image | None:
    return None if part is None else Image(part.bytes, part.width, part.height)

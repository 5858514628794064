"""How failures look: the switches for what is not on public record about errors."""

from __future__ import annotations

from tfy_last9.standins.asgi import Header, send_json
from tfy_last9.standins.gateway import envelope
from tfy_last9.standins.gateway.client import Client
from tfy_last9.standins.gateway.endpoints import Endpoint
from tfy_last9.standins.gateway.envelope import Rejection
from tfy_last9.standins.gateway.feedback import target_header
from tfy_last9.standins.gateway.formats.format import json_text, plain_event
from tfy_last9.standins.gateway.kinds import Kind
from tfy_last9.standins.gateway.settings import (
    HeaderOnErrors,
    MidStreamError,
    NativeErrors,
    Passing,
    RootType,
    Settings,
)
from tfy_last9.standins.gateway.story import Story


class Refusals:
    """Writes errors as the settings want them."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def root_kind(self, kind: Kind) -> Kind:
        """Give the kind whose root type the settings want."""
        return (
            kind.own() if self._settings.root_type is RootType.OWN and kind.request_type else kind
        )

    def target(self, story: Story) -> tuple[Header, ...]:
        """Give the header that tells the client its trace."""
        return (target_header(story.trace_id, story.root_span_id, self._settings),)

    def is_traced(self, story: Story) -> bool:
        """Tell whether a request leaves a trace."""
        reached_somebody = bool(story.attempts or story.tools)
        return story.wants_trace and (
            reached_somebody or story.status in self._settings.traced_rejections
        )

    def names_trace(self, story: Story) -> bool:
        """Tell whether an error names its trace; by default only where one will exist."""
        when = self._settings.header_on_errors
        return when is HeaderOnErrors.ALWAYS or (
            when is HeaderOnErrors.TRACED and self.is_traced(story)
        )

    def rate_limited(self, model: str, rule: str) -> Rejection:
        """Make the gateway's own 429."""
        level = self._settings.rate_limit_level or None
        return envelope.rate_limited(model, rule, self._settings.rate_limit_type, level)

    async def send(
        self, found: Endpoint, rejection: Rejection, headers: tuple[Header, ...], client: Client
    ) -> None:
        """Answer with an error status."""
        if rejection.outcome == "blocked":
            client.headers = ()
            await _plain(client, rejection)
            return
        if rejection.applied is not None:
            rules = json_text(rejection.applied).encode()
            headers = (*headers, (b"x-tfy-applied-rules", rules))
        if rejection.retry_after is not None and self._settings.retry_after is Passing.ON:
            headers = (*headers, (b"retry-after", rejection.retry_after.encode()))
        document = rejection.document()
        if found.is_native and self._settings.native_errors is NativeErrors.VENDOR:
            assert found.format is not None
            document = found.format.refusal(rejection)
        await send_json(client.send, rejection.status, document, headers)

    async def break_off(self, found: Endpoint, rejection: Rejection, client: Client) -> None:
        """End a stream that has begun and cannot be completed; nothing marks it as complete.

        The shape of an error within a stream is not on public record. Interfaces of other vendors
        have an error event of their own, which their clients understand.
        """
        assert found.format is not None
        shape = self._settings.mid_stream_error
        if shape is MidStreamError.CLOSE:
            return  # an answer that the app leaves incomplete is cut by the server
        if shape is MidStreamError.ENVELOPE and found.format.kind.request_type in _OPENAI:
            await client.end(plain_event(rejection.document()))
        else:
            await client.end(found.format.broken(rejection))


_OPENAI = frozenset({"ChatCompletion", "Completion"})


async def _plain(client: Client, rejection: Rejection) -> None:
    text = rejection.message.encode()
    headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(text)).encode())]
    start = {"type": "http.response.start", "status": rejection.status, "headers": headers}
    await client.send(start)
    await client.send({"type": "http.response.body", "body": text})

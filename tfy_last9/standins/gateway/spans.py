"""From a story to the spans TrueFoundry documents.

Root `<type>: <model>` (SERVER), one `Model: <account/model>` (INTERNAL) per attempt or one `MCP: ...`
per request to an MCP server, one `Guardrail: <group/name>` per guardrail, and under each `POST <url>`
(CLIENT). Kinds other than CLIENT are not on public record.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from tfy_last9.standins.gateway import genai, identifiers, record
from tfy_last9.standins.gateway.envelope import TIMED_OUT
from tfy_last9.standins.gateway.record import CLIENT, SERVER, SpanRecord
from tfy_last9.standins.gateway.settings import Settings
from tfy_last9.standins.gateway.span_attributes import Describer
from tfy_last9.standins.gateway.story import OK, Attempt, GuardrailStep, Story, ToolStep
from tfy_last9.standins.gateway.switches import BrokenRoot, RetrySpans, SpanKinds, TimeoutSpans

FAILED_FROM, BROKEN = 400, 500


class Teller:
    """Turns stories into spans."""

    def __init__(self, settings: Settings, *, exclude_request_data: bool = False) -> None:
        self._settings = settings
        excludes = exclude_request_data or settings.exclude_request_data
        self._describer = Describer(settings, excludes)

    def tell(self, story: Story, silent: Collection[str] = ()) -> list[SpanRecord]:
        """Give the spans of a story, the root first; attempts of silent providers leave none."""
        spans = [self._root(story)]
        for step in story.applied.guardrails if not self._describer.is_genai_only else ():
            spans += self._guardrail(story, step)
        for tries in spoken(story, self._settings):
            if tries[0].card.provider not in silent:
                spans += self._attempts(story, tries)
        for tool in story.tools:
            called = _child(story, story.root_span_id, _step_name(tool), tool)
            called.describe(self._describer.tool(story, tool))
            spans += called, self._request(story, called, tool, tool.url)
        return spans

    def _root(self, story: Story) -> SpanRecord:
        settings = self._settings
        genai_only = self._describer.is_genai_only
        name = genai.root_name(story) if genai_only else _root_name(story)
        root = _span(story, story.root_span_id, story.parent_span_id, name)
        if settings.span_kinds is SpanKinds.SERVER:
            root.kind = SERVER
        root.describe(self._describer.root(story))
        offset_ns = story.wall_offset_ns
        _date(root, story.received_ns + offset_ns, story.finished_ns + offset_ns)
        broke = story.outcome == "stream_broken"
        hides = broke and settings.broken_root is BrokenRoot.OK
        _close(root, story.status, None if hides else story.error_message)
        return root

    def _attempts(self, story: Story, tries: list[Attempt]) -> Iterator[SpanRecord]:
        """Give one Model span for what was tried of one target, and an HTTP span per request."""
        last, genai_only = tries[-1], self._describer.is_genai_only
        name = genai.span_name(story, last) if genai_only else f"Model: {last.card.name}"
        model = _child(story, story.root_span_id, name, last)
        model.start_ns = tries[0].started_ns + story.wall_offset_ns
        if genai_only:
            model.kind = CLIENT
        model.describe(self._describer.model(story, last))
        yield model
        for attempt in tries:
            if shows_request(attempt, self._settings):
                url = attempt.card.vendor_url(attempt.path)
                yield self._request(story, model, attempt, url)

    def _request(
        self, story: Story, span: SpanRecord, of: Attempt | ToolStep, url: str
    ) -> SpanRecord:
        """Give the HTTP request to a provider or an MCP server."""
        http = _child(story, span.span_id, f"POST {url}", of)
        http.kind = CLIENT
        http.describe(self._describer.http(story, of.status, url))
        return http

    def _guardrail(self, story: Story, step: GuardrailStep) -> tuple[SpanRecord, SpanRecord]:
        rail, error = step.verdict.guardrail, step.verdict.error
        status = OK if error is None else BROKEN
        start_ns, end_ns = (
            at_ns + story.wall_offset_ns for at_ns in (step.started_ns, step.finished_ns)
        )
        span_id = identifiers.span_id()
        span = _span(story, span_id, story.root_span_id, f"Guardrail: {rail.fqn}")
        span.describe(self._describer.guardrail(story, step))
        http = _span(story, identifiers.span_id(), span_id, f"POST {rail.url}")
        http.kind = CLIENT
        http.describe(self._describer.http(story, status, rail.url))
        for one in (span, http):
            _date(one, start_ns, end_ns)
            _close(one, status, error)
        return span, http


def spoken(story: Story, settings: Settings) -> Iterator[list[Attempt]]:
    """Give the attempts that share a Model span: retries, if they have none of their own."""
    group: list[Attempt] = []
    for attempt in story.attempts:
        joins = attempt.is_retry and settings.retry_spans is RetrySpans.HTTP
        if group and not joins:
            yield group
            group = []
        group.append(attempt)
    if group:
        yield group


def shows_request(attempt: Attempt, settings: Settings) -> bool:
    """Tell whether an attempt has an HTTP span: not if the provider was never asked."""
    timed_out = attempt.status == TIMED_OUT and settings.timeout_spans is TimeoutSpans.MODEL
    return attempt.reached_provider and not timed_out


def spans_of(story: Story, settings: Settings, provider: str | None = None) -> int:
    """Count the spans of a story, or those of one provider in it."""
    found = 0
    for tries in spoken(story, settings):
        if provider in (None, tries[0].card.provider):
            found += 1 + sum(shows_request(attempt, settings) for attempt in tries)
    if provider is None:
        found += 1 + 2 * len(story.tools) + 2 * len(story.applied.guardrails)
    return found


def _root_name(story: Story) -> str:
    first = "MCP" if story.kind.span_type == "MCPGateway" else story.kind.span_type
    return f"{first}: {story.requested_model or 'unknown'}"


def _step_name(step: ToolStep) -> str:
    primitive = f": {step.primitive}" if step.primitive else ""
    return f"MCP: {step.method}{primitive} ({step.server})"


def _span(story: Story, span_id: int, parent: int | None, name: str) -> SpanRecord:
    return SpanRecord(name, story.trace_id, span_id, parent)


def _child(story: Story, parent: int, name: str, of: Attempt | ToolStep) -> SpanRecord:
    span = _span(story, identifiers.span_id(), parent, name)
    offset_ns = story.wall_offset_ns
    _date(span, of.started_ns + offset_ns, of.finished_ns + offset_ns)
    if not (isinstance(of, Attempt) and of.is_aborted):
        _close(span, of.status, of.error_message)
    return span


def _date(span: SpanRecord, start_ns: int, end_ns: int) -> None:
    """Date a span in UTC."""
    span.start_ns = start_ns
    span.end_ns = end_ns


def _close(span: SpanRecord, status: int | None, message: str | None) -> None:
    # A stream that broke off was answered with 200 and failed all the same: the message decides.
    if message is None and status is not None and status < FAILED_FROM:
        span.code = record.OK
    else:
        span.code = record.ERROR
        span.message = message or ""

"""Waterfalls of the worst requests: client, gateway, attempts, provider and stream on one time line."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from tfy_last9.model.pictures import Waterfall
from tfy_last9.model.request import LedgerRow
from tfy_last9.model.trace import Role, Span, SpanStatus
from tfy_last9.reports.html.axes import milliseconds
from tfy_last9.reports.html.markup import esc, num, table

ROLES = {
    Role.ROOT: "gateway",
    Role.MODEL: "attempt",
    Role.HTTP: "provider call",
    Role.GUARDRAIL: "guardrail",
    Role.MCP: "tool call",
    Role.OTHER: "span",
}
_TTFT = "tfy.model.metric.time_to_first_token_in_ms"
_UNITS = 1000.0
_LEAST = 3.0


@dataclass(frozen=True, slots=True)
class _Bar:
    label: str
    detail: str
    start_ms: float
    end_ms: float
    kind: str
    """CSS class: `wait`, `send`, `stream`, `root`, `model`, `http`, `rest`, and `failed` where it did."""
    first_token_ms: float | None = None
    """Where the span says that its first token came."""


def waterfalls(worst: Sequence[Waterfall], run_id: str, link: Callable[[str], str]) -> str:
    """Return one foldable waterfall per request; the first is open."""
    if not worst:
        return '<p class="empty"><span aria-hidden="true">∅</span> No request was sent, so none can be shown.</p>'
    legend = (
        '<p class="hint">All bars count from the instant the request was due. Client bars come from the '
        "ledger, the others from spans in Last9; the two clocks may differ by some milliseconds. A gap in an attempt marks its first token.</p>"
    )
    return legend + "".join(
        _waterfall(one, run_id, link, place == 0) for place, one in enumerate(worst)
    )


def _waterfall(one: Waterfall, run_id: str, link: Callable[[str], str], is_open: bool) -> str:  # noqa: FBT001 - an HTML attribute
    row = one.row
    bars = [*_client(row), *_spans(one)]
    total = max((bar.end_ms for bar in bars), default=1.0) or 1.0
    rows = [
        (_label(bar), _drawn(bar, total), milliseconds(bar.end_ms - bar.start_ms)) for bar in bars
    ]
    took = (
        milliseconds((row.finished_ns - row.due_ns) / 1e6)
        if row.finished_ns is not None
        else "never"
    )
    where = row.provider or row.target
    head = (
        f'<span class="why">{esc(one.why)}</span><span>{esc(where)}</span>'
        f"<span>{esc(row.outcome)}</span><b>{took}</b>"
    )
    opened = " open" if is_open else ""
    name = f"Waterfall of request {row.request_id}"
    return (
        f'<details class="card waterfall"{opened}><summary>{head}</summary>'
        f"{table(('part', 'when', 'took'), rows, name, 'bars') if bars else ''}"
        f"{_facts(one, run_id, link)}</details>"
    )


def _client(row: LedgerRow) -> Iterator[_Bar]:
    """Return the client's own stretches: waiting for a free user, waiting for an answer, streaming."""
    if row.started_ns is None:
        return
    started = (row.started_ns - row.due_ns) / 1e6
    yield _Bar("client: before start", "due until sent", 0.0, started, "wait")
    if row.first_token_ns is None:
        if row.finished_ns is not None:
            ended = (row.finished_ns - row.due_ns) / 1e6
            yield _Bar(
                "client: waiting", f"until {row.outcome}", started, ended, _kind("send", row)
            )
        return
    first = (row.first_token_ns - row.due_ns) / 1e6
    yield _Bar("client: first token", "sent until first token", started, first, "send")
    if row.finished_ns is not None:
        ended = (row.finished_ns - row.due_ns) / 1e6
        detail = f"{row.chunks:,} chunks" if row.chunks is not None else "until the end"
        yield _Bar("client: stream", detail, first, ended, _kind("stream", row))


def _kind(kind: str, row: LedgerRow) -> str:
    return kind if row.outcome == "ok" else f"{kind} failed"


def _spans(one: Waterfall) -> Iterator[_Bar]:
    zero_ns = one.row.epoch_ns + one.row.due_ns
    attempt = 0
    for span in one.spans:
        attempt += span.role is Role.MODEL
        label = f"{ROLES[span.role]} {attempt}" if span.role is Role.MODEL else ROLES[span.role]
        start = (span.start_ns - zero_ns) / 1e6
        kind = span.role.value if span.role in {Role.ROOT, Role.MODEL, Role.HTTP} else "rest"
        failed = " failed" if span.status is SpanStatus.ERROR else ""
        end = start + span.duration_ns / 1e6
        ttft = span.attributes.get(_TTFT)
        first = start + ttft if isinstance(ttft, int | float) and start + ttft < end else None
        yield _Bar(label, _detail(span), start, end, kind + failed, first)


def _detail(span: Span) -> str:
    parts = [span.provider or span.route or span.name]
    if span.status is SpanStatus.ERROR:
        parts.append(f"error {span.status_message or ''}".strip())
    return ", ".join(parts)


def _label(bar: _Bar) -> str:
    return f'{esc(bar.label)}<span class="detail">{esc(bar.detail)}</span>'


def _drawn(bar: _Bar, total: float) -> str:
    left = min(_UNITS - _LEAST, max(0.0, bar.start_ms / total * _UNITS))
    width = max(_LEAST, min(_UNITS, bar.end_ms / total * _UNITS) - left)
    label = (
        f"from {milliseconds(max(0.0, bar.start_ms))} for {milliseconds(bar.end_ms - bar.start_ms)}"
    )
    first = ""
    if bar.first_token_ms is not None:
        x = num(max(0.0, bar.first_token_ms / total * _UNITS))
        first = f'<line class="first-token" x1="{x}" x2="{x}" y1="0" y2="16"/>'
        label += f", first token at {milliseconds(bar.first_token_ms)}"
    return (
        f'<svg viewBox="0 0 1000 16" preserveAspectRatio="none" role="img" aria-label="{label}">'
        f'<rect class="track" width="1000" height="16"/>'
        f'<rect class="bar-{bar.kind}" x="{num(left)}" y="2" width="{num(width)}" height="12"/>{first}</svg>'
    )


def _facts(one: Waterfall, run_id: str, link: Callable[[str], str]) -> str:
    row = one.row
    parts = [f"request {row.request_id}", one.note]
    if row.error_message or row.error_type:
        parts.append(f"error: {row.error_type or ''} {row.error_message or ''}".strip())
    if row.status is not None:
        parts.append(f"HTTP {row.status}")
    text = f'<p class="hint">{esc("; ".join(part for part in parts if part))}</p>'
    if row.trace_id is None or not one.spans:
        return (
            text
            + '<p class="hint">No span of this request is in the evidence: only the client\'s bars are drawn.</p>'
        )
    page = link(row.trace_id)
    if page.startswith("https://"):
        text += f'<p><a href="{esc(page)}" rel="noreferrer">Open trace {esc(row.trace_id)} in Last9</a></p>'
    return text + f"<pre>tfy-last9 traces runs/{esc(run_id)} --trace {esc(row.trace_id)}</pre>"

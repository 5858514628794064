"""One request and its span tree as indented text: the client's instants first, then what Last9 showed.

All offsets count from the instant the request was due; without a ledger row, from the first span.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from tfy_last9.model.request import LedgerRow
from tfy_last9.model.trace import Role, Span

_TOKENS = (
    ("tfy.model.metric.input_tokens", "gen_ai.usage.input_tokens"),
    ("tfy.model.metric.output_tokens", "gen_ai.usage.output_tokens"),
)
_COST = "tfy.model.metric.cost_in_usd"
_STATUS = ("http.response.status_code", "http.status_code")

Children = dict[str, list[Span]]


def render(row: LedgerRow | None, spans: Sequence[Span], note: str = "") -> str:
    """Return the request's line, its instants, and the tree; ends with a line break."""
    ordered = sorted(spans, key=lambda span: (span.start_ns, span.span_id))
    zero_ns = row.epoch_ns + row.due_ns if row else min((s.start_ns for s in ordered), default=0)
    lines = _request_lines(row) if row else ["request unknown to the ledger"]
    if note:
        lines.append(f"  {note}")
    if ordered:
        lines.append(f"  trace {ordered[0].trace_id}")
    lines.extend(_tree(ordered, zero_ns))
    return "\n".join(lines) + "\n"


def _request_lines(row: LedgerRow) -> list[str]:
    head = (
        f"request {row.request_id}",
        row.target,
        row.model,
        f"phase {row.phase}",
        f"outcome {row.outcome}",
        _maybe("http {}", row.status),
    )
    instants = (
        "due 0 ms",
        _offset("started", row.started_ns, row.due_ns),
        _offset("first token", row.first_token_ns, row.due_ns),
        _offset("finished", row.finished_ns, row.due_ns),
    )
    return [_joined(head, "  "), "  client: " + _joined(instants, ", "), *_facts(row)]


def _facts(row: LedgerRow) -> list[str]:
    facts = _joined(
        (
            _tokens(row.input_tokens, row.output_tokens),
            _maybe("error {}", row.error_type),
            row.error_message or "",
        ),
        ", ",
    )
    return [f"  {facts}"] if facts else []


def _offset(name: str, instant_ns: int | None, due_ns: int) -> str:
    return "" if instant_ns is None else f"{name} {_ms(instant_ns - due_ns, sign='+')}"


def _tree(spans: Sequence[Span], zero_ns: int) -> list[str]:
    """Return every span exactly once: roots with their descendants, then what hangs in the air."""
    known = {span.span_id for span in spans}
    children: Children = defaultdict(list)
    tops = []
    for span in spans:
        parent = span.parent_span_id
        if parent is None or parent not in known:
            tops.append(span)
        else:
            children[parent].append(span)
    shown: set[str] = set()
    lines: list[str] = []
    # A ring of parents has no top: its spans come last, as orphans.
    for top in (*sorted(tops, key=_is_orphan), *spans):
        if top.span_id not in shown:
            mark = "orphan: " if _is_orphan(top) else ""
            lines.extend(_branch(top, children, zero_ns, "  ", mark, shown))
    return lines


def _is_orphan(span: Span) -> bool:
    """Tell a span whose parent was lost from a root, whose parent is the caller's span if any."""
    return span.parent_span_id is not None and span.role is not Role.ROOT


def _branch(
    span: Span, children: Children, zero_ns: int, indent: str, mark: str, shown: set[str]
) -> list[str]:
    shown.add(span.span_id)
    lines = [f"{indent}- {mark}{_span_line(span, zero_ns)}"]
    for child in children.get(span.span_id, ()):
        if child.span_id not in shown:
            lines.extend(_branch(child, children, zero_ns, indent + "  ", "", shown))
    return lines


def _span_line(span: Span, zero_ns: int) -> str:
    parts = (
        span.name,
        _ms(span.duration_ns),
        f"at {_ms(span.start_ns - zero_ns, sign='+')}",
        span.status.value,
        span.provider or "",
        _maybe("http {}", _attribute(span, _STATUS)),
        _tokens(*(_attribute(span, names) for names in _TOKENS)),
        _cost(_attribute(span, (_COST,))),
        span.status_message or "",
    )
    return _joined(parts, "  ")


def _attribute(span: Span, names: Iterable[str]) -> object:
    return next((span.attributes[name] for name in names if name in span.attributes), None)


def _cost(usd: object) -> str:
    if isinstance(usd, float):
        usd = f"{usd:.8f}".rstrip("0")
    return _maybe("{} USD", usd)


def _tokens(tokens_in: object, tokens_out: object) -> str:
    parts = (_maybe("{} tokens in", tokens_in), _maybe("{} tokens out", tokens_out))
    return _joined(parts, ", ")


def _maybe(form: str, value: object) -> str:
    return "" if value is None else form.format(value)


def _joined(parts: Iterable[str], separator: str) -> str:
    return separator.join(part for part in parts if part)


def _ms(duration_ns: int, sign: str = "") -> str:
    return f"{duration_ns / 1e6:{sign}.1f} ms"

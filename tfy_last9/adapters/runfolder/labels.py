"""Labels in SQL: what a condition or `groupBy` of an SLO file names, in the ledger or on a span.

A name from a file never becomes SQL. It is either looked up in a fixed table of columns or travels as
a bound parameter (a JSON pointer), and so do the values it is compared with.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tfy_last9.errors import ConfigurationError
from tfy_last9.model.fields import LEDGER_LABELS, SPAN_LABELS
from tfy_last9.model.provider import canonical
from tfy_last9.model.request import CHECK_FAILED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tfy_last9.model.objective import Condition

NONE = "(none)"
"""Group value of events that do not carry the label."""
FAILS_CHECK = "(l.outcome = 'ok' AND l.check_failed IS NOT NULL)"
"""SQL over a ledger row: it was answered, and the answer is none that was wanted."""
VIRTUAL = "(virtual)"
"""Provider of a ledger row that went to a virtual target: the client cannot know it."""


@dataclass(slots=True)
class Parameters:
    """Values bound to one statement, under generated names."""

    values: dict[str, object] = field(default_factory=dict)

    def bind(self, value: object) -> str:
        """Return the placeholder that stands for `value`."""
        name = f"p{len(self.values)}"
        self.values[name] = value
        return f"${name}"


def ledger_label(name: str, parameters: Parameters) -> str:
    """Return SQL for a label of a ledger row."""
    del parameters  # every ledger label is a column
    if name not in LEDGER_LABELS:
        raise ConfigurationError(
            f"the ledger has no label {name!r}; it has {', '.join(sorted(LEDGER_LABELS))}",
            hint="a label of the trace (team, region, ...) needs an objective of type last9",
        )
    if name == "provider":
        return f"coalesce(l.provider, '{VIRTUAL}')"
    if name == "route":
        return "l.model"
    if name == "outcome":
        return f"CASE WHEN {FAILS_CHECK} THEN '{CHECK_FAILED}' ELSE l.outcome END"
    return f"CAST(l.{name} AS VARCHAR)"


SPAN_COLUMNS: dict[str, str] = {
    **{name: f"s.{name}" for name in sorted(SPAN_LABELS)},
    # A root names no provider, only its Model spans do: it counts where the client sent the request.
    "provider": "coalesce(s.provider, CASE WHEN s.role = 'root' THEN l.provider END)",
    # Only the root says which model was asked for; the client knows it for all spans of its trace.
    "route": "coalesce(s.route, l.model)",
    # More than one target was called for one request: attempts, unless an agent took one step with each.
    "fallback": (
        "CASE WHEN t.models > 1 AND (NOT t.is_agent OR t.has_failed_call) THEN 'yes' ELSE 'no' END"
    ),
    # Client and gateway tell the same story; a request the client gave up on tells nothing.
    "status_agrees": (
        "CASE WHEN l.outcome = 'aborted' THEN NULL "
        "WHEN (l.outcome = 'ok') = (s.status <> 'error') THEN 'yes' ELSE 'no' END"
    ),
}
DERIVED = ("fallback", "status_agrees")
"""Span labels that are no column of the evidence."""


def span_label(name: str, parameters: Parameters) -> str:
    """Return SQL for a label of a span `s`: a column, a label of its ledger row `l`, or an attribute.

    Resource attributes win over span attributes, as `model.fields` says.
    """
    if name in SPAN_COLUMNS:
        return SPAN_COLUMNS[name]
    if name in LEDGER_LABELS:
        return ledger_label(name, parameters)
    pointer = json_pointer(name)
    resource, attribute = parameters.bind(pointer), parameters.bind(pointer)
    return (
        f"coalesce(json_extract_string(s.resource, {resource}), "
        f"json_extract_string(s.attributes, {attribute}))"
    )


SENT_LABELS: dict[str, str] = {
    **{name: f"CAST(l.{name} AS VARCHAR)" for name in sorted(LEDGER_LABELS - SPAN_LABELS)},
    "provider": "r.provider",
    "route": "l.model",
    "model": "CASE WHEN l.provider IS NOT NULL AND r.provider IS NOT NULL THEN l.model END",
    "account": (
        "CASE WHEN l.provider IS NOT NULL AND r.provider IS NOT NULL AND contains(l.model, '/') "
        "THEN split_part(l.model, '/', 1) END"
    ),
}
"""What the ledger (`l`, with the providers `r` a target may reach) foretells of a span's labels. Null, or
a label that is not here: the ledger cannot know."""


def matches(
    conditions: Iterable[Condition],
    label: Callable[[str, Parameters], str],
    parameters: Parameters,
) -> str:
    """Return SQL that is true where every condition holds; an absent label meets none."""
    tests = [
        f"coalesce({label(condition.field, parameters)} IN "
        f"({', '.join(parameters.bind(value) for value in _values(condition))}), false)"
        for condition in conditions
    ]
    return " AND ".join(tests) or "true"


def may_match(conditions: Iterable[Condition], parameters: Parameters) -> str:
    """Return SQL that is false only for sent traffic that certainly fails a condition on spans."""
    tests = [
        f"coalesce({SENT_LABELS[condition.field]} IN "
        f"({', '.join(parameters.bind(value) for value in _values(condition))}), true)"
        for condition in conditions
        if condition.field in SENT_LABELS
    ]
    return " AND ".join(tests) or "true"


def group(
    names: Iterable[str], label: Callable[[str, Parameters], str], parameters: Parameters
) -> str:
    """Return SQL for the list of group values, one per name."""
    values = ", ".join(f"coalesce({label(name, parameters)}, '{NONE}')" for name in names)
    return f"[{values}]::VARCHAR[]"


def json_pointer(name: str) -> str:
    """Return the JSON pointer (RFC 6901) of a top-level member; dots in the name stay literal."""
    return "/" + name.replace("~", "~0").replace("/", "~1")


def _values(condition: Condition) -> tuple[str, ...]:
    if condition.field == "provider":
        return tuple(canonical(value) for value in condition.values)
    return condition.values

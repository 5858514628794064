"""`metrics.txt`: the verdict as OpenMetrics text, for GitLab's metrics report or a push gateway.

Gauges without time stamps. No label names the run: GitLab compares equal label sets between branches.
What is unknown has no sample; it is never 0. Format: the OpenMetrics 1.0 specification.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from tfy_last9.model.pictures import TokenGaps
from tfy_last9.model.verdict import SEVERITY, Accounting, Finding, Verdict

DIGITS = 6
_MS_PER_S = 1000
_NOT_NAME = re.compile(r"[^a-zA-Z0-9_]")
_RESERVED = {"scenario", "objective", "side", "quantile", "unit", "fate"}
_ESCAPES = {"\\": r"\\", '"': r"\"", "\n": r"\n"}
_HELP = {
    "exit_code": "Exit code of the run: 0, 20 FAIL, 21 INCONCLUSIVE, 22 NO_DATA, 23 ERROR.",
    "requests": "Intended requests by what became of them.",
    "traces": "Expected traces by what became of them.",
    "trace_lag_seconds": "From the answer to first sight in Last9; an upper bound.",
    "token_gaps": "Times between tokens of streams, judged phases: n.",
    "token_gap_seconds": "Time between tokens: percentiles within 1/64; 1 is the longest.",
    "token_streams": "Streams with two tokens or more.",
    "stalled_streams": "Streams that were once silent for a second or longer between tokens.",
    "severity": "State of the objective: 0 PASS, 1 WARN, 2 INCONCLUSIVE, 3 NO_DATA, 4 ERROR, 5 FAIL.",
    "events": "Events judged: n.",
    "bad_events": "Events that broke the objective.",
    "bad_ratio": "Observed share of bad events.",
    "bad_ratio_bound": "Confidence bound of the share of bad events.",
    "budget_ratio": "Share of events that may be bad.",
    "observed": "Observed percentile, in the unit of its label.",
    "observed_bound": "Order-statistic bound of the percentile.",
}
"""Metric families in the order they are written."""

Labels = dict[str, str]


@dataclass(slots=True)
class _Families:
    samples: dict[str, list[tuple[Labels, float]]] = field(
        default_factory=lambda: {name: [] for name in _HELP}
    )

    def add(self, name: str, labels: Labels, value: float | None) -> None:
        """Add a sample unless its value is unknown."""
        if value is not None and math.isfinite(value):
            self.samples[name].append((labels, value))

    def lines(self) -> Iterator[str]:
        """Yield the text, family by family."""
        for name, samples in self.samples.items():
            if samples:
                full = f"tfy_last9_{name}"
                yield f"# TYPE {full} gauge"
                yield f"# HELP {full} {_HELP[name]}"
                for labels, value in samples:
                    yield f"{full}{_labels(labels)} {_number(value)}"
        yield "# EOF"


def render(verdict: Verdict, gaps: Iterable[TokenGaps] = ()) -> str:
    """Return the text; its last line is `# EOF`. `gaps` are the times between tokens per target."""
    found = _Families()
    run = {"scenario": verdict.scenario}
    found.add("exit_code", run, verdict.exit_code)
    _add_books(found, run, verdict.accounting)
    for one in gaps:
        _add_gaps(found, run, one)
    for finding in verdict.findings:
        _add_finding(found, run, finding)
    return "\n".join(found.lines()) + "\n"


def _add_books(found: _Families, run: Labels, books: Accounting) -> None:
    for fate in ("answered", "refused", "unanswered", "unsent", "missed", "unreported"):
        found.add("requests", {**run, "fate": fate}, getattr(books, fate))
    for fate, count in (
        ("on_time", books.joined),
        ("late", books.late),
        ("lost", books.lost),
        ("conflict", books.conflicts),
    ):
        found.add("traces", {**run, "fate": fate}, count)
    found.add("trace_lag_seconds", {**run, "quantile": "0.5"}, books.lag_p50_s)
    if books.lag is not None:
        found.add("trace_lag_seconds", {**run, "quantile": f"{books.lag.p:g}"}, books.lag.value)
    found.add("trace_lag_seconds", {**run, "quantile": "1"}, books.lag_max_s)


def _add_gaps(found: _Families, run: Labels, one: TokenGaps) -> None:
    named = {"target": one.target, "provider": one.provider, "arm": one.arm}
    labels = {**run, **{name: value for name, value in named.items() if value is not None}}
    found.add("token_gaps", labels, one.n)
    for measured in one.quantiles:
        quantile = {**labels, "quantile": f"{measured.p:g}"}
        found.add("token_gap_seconds", quantile, measured.value / _MS_PER_S)
    if one.longest_ms is not None:
        found.add("token_gap_seconds", {**labels, "quantile": "1"}, one.longest_ms / _MS_PER_S)
    found.add("token_streams", labels, one.streams)
    found.add("stalled_streams", labels, one.stalled)


def _add_finding(found: _Families, run: Labels, finding: Finding) -> None:
    labels = {**run, "objective": finding.objective} | _group_labels(finding)
    found.add("severity", labels, SEVERITY[finding.state])
    found.add("events", labels, finding.total)
    found.add("bad_events", labels, finding.bad)
    found.add("bad_ratio", labels, finding.bad / finding.total if finding.total else None)
    for side, bound in (("low", finding.bad_low), ("high", finding.bad_high)):
        found.add("bad_ratio_bound", {**labels, "side": side}, bound)
    found.add("budget_ratio", labels, finding.budget)
    if finding.quantile is not None:
        measured = finding.quantile
        named = {**labels, "quantile": f"{measured.p:g}", "unit": measured.unit}
        found.add("observed", named, measured.value)
        for side, bound in (("low", measured.low), ("high", measured.high)):
            found.add("observed_bound", {**named, "side": side}, bound)


def _group_labels(finding: Finding) -> Labels:
    """Return the group's labels under names that OpenMetrics allows and nothing else uses."""
    found: Labels = {}
    for name, value in finding.group:
        clean = _NOT_NAME.sub("_", name)
        if clean in _RESERVED or not clean[:1].isalpha():
            clean = f"label_{clean}"
        while clean in found:
            clean = f"{clean}_"
        found[clean] = value
    return found


def _labels(labels: Labels) -> str:
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(text: str) -> str:
    return "".join(
        _ESCAPES.get(char, char if char.isprintable() or char == "\n" else "?") for char in text
    )


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.{DIGITS}g}"

"""Two runs side by side: on a terminal, and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from itertools import groupby

from tfy_last9.judge.phrases import percent
from tfy_last9.model.verdict import SEVERITY, Finding, State, group_text

SCHEMA = 1
DIGITS = 6
_COLUMNS = "  {state:<13} {group:<12} {observed:<38} {margin:>7} {n:>7}"


def render(runs: tuple[str, str], state: State, findings: Sequence[Finding]) -> str:
    """Return the text; ends with a line break."""
    lines = [f"{state}  canary {runs[1]}", f"      against baseline {runs[0]}", ""]
    names = ("state", "group", "observed", "margin", "n")
    lines.append(_COLUMNS.format(**{name: name for name in names}))
    ordered = sorted(findings, key=lambda finding: finding.objective)
    for name, group in groupby(ordered, key=lambda finding: finding.objective):
        rows = list(group)
        lines.append(f"{name}: {rows[0].claim}")
        lines += [_row(row) for row in rows]
    unwell = [finding for finding in ordered if SEVERITY[finding.state] > 0]
    if unwell:
        lines.append("")
    lines += [f"{finding.state} {finding.objective}, {finding.message}" for finding in unwell]
    return "\n".join(lines) + "\n"


def document(runs: tuple[str, str], state: State, findings: Sequence[Finding]) -> dict[str, object]:
    """Return the comparison as JSON data; findings are those of verdict.json."""
    return {
        "schema": SCHEMA,
        "baseline": runs[0],
        "canary": runs[1],
        "state": state.value,
        "findings": [_plain(finding) for finding in findings],
    }


def _plain(finding: Finding) -> dict[str, object]:
    data = asdict(finding) | {"group": dict(finding.group)}
    return {
        name: float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value
        for name, value in data.items()
    }


def _row(finding: Finding) -> str:
    return _COLUMNS.format(
        state=finding.state,
        group=group_text(finding.group),
        observed=finding.measured or "nothing to compare",
        margin=percent(finding.budget),
        n=f"{finding.total:,}",
    )

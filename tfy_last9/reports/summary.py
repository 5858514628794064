"""`summary.md`: the verdict as Markdown, for a step summary or a pull-request comment.

State and reason first, then what is not well, then every number. It truncates itself: GitHub drops a
step summary above 1 MiB whole, and a comment holds 65,536 characters; one limit serves both.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from tfy_last9.judge.phrases import percent, quantile, quantity
from tfy_last9.model.verdict import (
    SEVERITY,
    Accounting,
    Exemplar,
    Finding,
    State,
    Verdict,
    group_text,
)

LIMIT_BYTES = 60_000
EXPLAINED = 10
EXEMPLARS = 3
LONGEST_TEXT = 2000
"""Characters of one message: a label of a span may be of any length."""
_SPECIAL = re.compile(r"[&<>|`*_\[\]\\~@#$!]")
_COMMAND = ": tfy-last9 "
_KEPT_BYTES = 200
"""Room for the line that says how much was left out."""
_MEANINGS = {
    State.PASS: "every critical objective is proven",
    State.WARN: "nothing is broken, something is close",
    State.FAIL: "a breach is proven",
    State.INCONCLUSIVE: "too few requests to prove either",
    State.NO_DATA: "the evidence shows nothing",
    State.ERROR: "nothing is said about the objectives",
}


def render(
    verdict: Verdict, links: Callable[[Exemplar], str], limit_bytes: int = LIMIT_BYTES
) -> str:
    """Return the Markdown; `links` gives the address of an exemplar's trace, or an empty text."""
    blocks = [
        _head(verdict),
        _problems(verdict),
        _explanations(verdict, links),
        _next_steps(verdict),
        _table(verdict.findings),
        _books(verdict.accounting),
        _notes(verdict),
    ]
    return _fitted(["\n".join(lines) for lines in blocks if lines], limit_bytes)


def _fitted(blocks: list[str], limit_bytes: int) -> str:
    """Keep whole lines from the top while they fit, and say how many are left out."""
    lines = "\n\n".join(blocks).split("\n")
    kept: list[str] = []
    room = limit_bytes - _KEPT_BYTES
    for line in lines:
        room -= len(line.encode()) + 1
        if room < 0:
            left = len(lines) - len(kept)
            kept += ["", f"... {left:,} more lines are left out; verdict.json holds everything."]
            break
        kept.append(line)
    return "\n".join(kept) + "\n"


def _head(verdict: Verdict) -> list[str]:
    meaning = _MEANINGS.get(verdict.state, "")
    return [
        f"## {verdict.state}: {_text(verdict.scenario)}",
        "",
        f"**{_text(verdict.reason)}**",
        "",
        f"Exit code {verdict.exit_code} ({meaning}), run `{_code(verdict.run_id)}`.",
    ]


def _problems(verdict: Verdict) -> list[str]:
    problems = verdict.validity.problems
    return ["### Why nothing can be said", "", *_bullets(problems)] if problems else []


def _explanations(verdict: Verdict, links: Callable[[Exemplar], str]) -> list[str]:
    unwell = worst_first(verdict.findings)
    if not unwell:
        return []
    lines = ["### Not passed", ""]
    for finding in unwell[:EXPLAINED]:
        weight = "" if finding.critical else " (not critical)"
        place = f" (`slo/{_code(finding.path)}:{finding.line}`)" if finding.path else ""
        lines.append(
            f"- **{finding.state} {_text(finding.objective)}**{weight}:"
            f" {_text(finding.message)}{place}"
        )
        lines += [
            f"  - {_exemplar(finding, item, links)}" for item in finding.exemplars[:EXEMPLARS]
        ]
    if len(unwell) > EXPLAINED:
        lines.append(f"- and {len(unwell) - EXPLAINED} more in the table below")
    return lines


def worst_first(findings: Iterable[Finding]) -> list[Finding]:
    """Return the findings that are not well: critical ones first, the worst state first."""
    unwell = (finding for finding in findings if SEVERITY[finding.state] > 0)
    return sorted(unwell, key=lambda found: (not found.critical, -SEVERITY[found.state]))


def _exemplar(finding: Finding, exemplar: Exemplar, links: Callable[[Exemplar], str]) -> str:
    unit = finding.quantile.unit if finding.quantile is not None else ""
    value = "" if exemplar.value is None else quantity(exemplar.value, unit).strip()
    if exemplar.trace_id:
        name = f"trace `{_code(exemplar.trace_id)}`"
    else:
        name = f"request `{_code(exemplar.request_id or 'unknown')}`"
    link = links(exemplar)
    if link:
        name = f"[{name}]({link})"
    return " ".join(part for part in (name, value, _text(exemplar.detail)) if part)


def _table(findings: tuple[Finding, ...]) -> list[str]:
    if not findings:
        return []
    lines = [
        "### Objectives",
        "",
        "| state | objective | group | observed | bad | budget | n |",
        "|---|---|---|---|--:|--:|--:|",
    ]
    return lines + [_row(finding) for finding in findings]


def _row(finding: Finding) -> str:
    asked = finding.state is not State.NOT_CONFIGURED
    cells = (
        finding.state.value,
        _text(finding.objective) + ("" if finding.critical else " (not critical)"),
        _text(group_text(finding.group)),
        _text(_observed(finding)) if asked else "",
        percent(finding.bad / finding.total) if finding.total else "-",
        percent(finding.budget),
        f"{finding.total:,}" if asked else "-",
    )
    return f"| {' | '.join(cells)} |"


def _observed(finding: Finding) -> str:
    if finding.quantile is not None:
        return quantile(finding.quantile)
    if finding.measured is not None:
        return finding.measured
    return f"{finding.bad:,} bad of {finding.total:,}" if finding.total else "nothing"


def _books(found: Accounting) -> list[str]:
    requests = {
        "answered": found.answered,
        "refused": found.refused,
        "unanswered": found.unanswered,
        "unsent": found.unsent,
        "missed": found.missed,
        "unreported": found.unreported,
    }
    traces = {
        "on time": found.joined,
        "late": found.late,
        "lost": found.lost,
        "with another request id": found.conflicts,
    }
    lines = ["### Books", "", f"- {found.intended:,} requests intended = {_sum(requests)}"]
    if found.expected_traces:
        lines.append(
            f"- {found.expected_traces:,} traces expected = {_sum(traces)};"
            f" {found.complete:,} complete"
        )
    if found.lag is not None:
        lines.append(f"- from answer to first sight in Last9: {quantile(found.lag)} (upper bound)")
    return lines


def _sum(parts: dict[str, int]) -> str:
    first = next(iter(parts))
    return " + ".join(f"{n:,} {name}" for name, n in parts.items() if n or name == first)


def _notes(verdict: Verdict) -> list[str]:
    warnings = verdict.validity.warnings
    return ["### Notes", "", *_bullets(warnings)] if warnings else []


def _next_steps(verdict: Verdict) -> list[str]:
    lines = []
    for step in verdict.next_steps:
        here = step.replace(verdict.run_id, f"runs/{verdict.run_id}")
        text, found, arguments = here.partition(_COMMAND)
        command = f": `{_COMMAND.lstrip(': ')}{_code(arguments)}`" if found else ""
        lines.append(f"- {_text(text)}{command}")
    return ["### Next", "", *lines] if lines else []


def _bullets(texts: Iterable[str]) -> list[str]:
    return [f"- {_text(text)}" for text in texts]


def _text(text: str) -> str:
    """Return text that Markdown shows as it is: labels of spans may hold markup or mentions."""
    return _SPECIAL.sub(lambda found: f"&#{ord(found[0])};", _line(text))


def _code(text: str) -> str:
    """Return text for a code span."""
    return _line(text).replace("`", "'")


def _line(text: str) -> str:
    flat = "".join(char if char.isprintable() else " " for char in text)
    return flat if len(flat) <= LONGEST_TEXT else f"{flat[:LONGEST_TEXT]}..."

"""The verdict on a terminal: state and reason first, then the numbers behind them.

Plain text of 80 columns, readable without colour; only links may be longer. Every number has its n.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterator
from itertools import groupby

from tfy_last9.judge.phrases import percent, quantile, quantity, significant
from tfy_last9.judge.why import burning, details
from tfy_last9.model.contract import ContractGap
from tfy_last9.model.verdict import (
    SEVERITY,
    Accounting,
    Exemplar,
    Finding,
    LossPart,
    State,
    Validity,
    Verdict,
    group_text,
)
from tfy_last9.reports.pointers import promised_in

WIDTH = 80
EXPLAINED = 8
"""Findings that are explained one by one; the table shows all of them."""
EXEMPLARS = 5
LOSS_PARTS = 5
CONTRACT_GAPS = 5
_GROUP_WIDTH = 13
_COMMAND = ": tfy-last9 "
_UNIT = re.compile(r"(\d) (%|ms|s|USD)(?!\w)")
_COLUMNS = "  {state:<14} {group:<13} {observed:<24} {bad:>8} {budget:>6} {n:>8}"


def render(verdict: Verdict, links: Callable[[Exemplar], str]) -> str:
    """Return the report; `links` gives the address of an exemplar's trace, or an empty text."""
    parts = [
        _head(verdict),
        _table(verdict.findings),
        _explanations(verdict, links),
        _books(verdict),
        _next_steps(verdict),
    ]
    text = "\n\n".join("\n".join(lines) for lines in parts if lines) + "\n"
    # Labels and error texts come from spans: no escape sequence of theirs may reach a terminal.
    return "".join(char if char.isprintable() or char == "\n" else "?" for char in text)


def _head(verdict: Verdict) -> list[str]:
    lines = [f"{verdict.state}  {verdict.scenario}  run {verdict.run_id}"]
    lines += _wrapped(verdict.reason)
    lines += [line for text in verdict.validity.problems for line in _labelled("invalid", text)]
    return lines


def _table(findings: tuple[Finding, ...]) -> list[str]:
    if not findings:
        return []
    names = ("state", "group", "observed", "bad", "budget", "n")
    lines = [_COLUMNS.format(**{name: name for name in names})]
    for name, group in groupby(findings, key=lambda finding: finding.objective):
        rows = list(group)
        weight = "" if any(row.critical for row in rows) else " (not critical)"
        lines += _wrapped(f"{name}: {rows[0].claim}{weight}", hang="  ")
        lines += [line for row in rows for line in _row(row)]
    return lines


def _row(finding: Finding) -> list[str]:
    judged = finding.state is not State.NOT_CONFIGURED
    group = group_text(finding.group)
    fits = len(group) <= _GROUP_WIDTH
    text = _COLUMNS.format(
        state=finding.state,
        group=group if fits else "",
        observed=_observed(finding) if judged else "",
        bad=percent(finding.bad / finding.total) if finding.total else "-",
        budget=percent(finding.budget),
        n=f"{finding.total:,}" if judged else "-",
    )
    return [text] if fits else [f"  {'':<14} {group}", text]


def _observed(finding: Finding) -> str:
    if finding.quantile is not None:
        return quantile(finding.quantile)
    if finding.measured is not None:
        return finding.measured
    if finding.total == 0:
        return "nothing"
    return f"{finding.bad:,} bad of {finding.total:,}"


def _explanations(verdict: Verdict, links: Callable[[Exemplar], str]) -> list[str]:
    unwell = sorted(
        (finding for finding in verdict.findings if SEVERITY[finding.state] > 0),
        key=lambda finding: (not finding.critical, -SEVERITY[finding.state]),
    )
    lines: list[str] = []
    for finding in unwell[:EXPLAINED]:
        lines += _wrapped(_explanation(finding, verdict.reason), hang="  ")
        for text in burning(finding):
            lines += _wrapped(f"    {text}", hang="      ")
        if finding.why is not None:
            for text in details(finding.why):
                lines += _wrapped(f"    {text}", hang="      ")
        lines += _exemplars(finding, links)
    if len(unwell) > EXPLAINED:
        lines.append(f"... and {len(unwell) - EXPLAINED} more in the table and in verdict.json")
    return lines


def _explanation(finding: Finding, reason: str) -> str:
    """Return what is wrong and which line promised better; the head is not said twice."""
    where = f", {group_text(finding.group)}" if finding.group else ""
    message = finding.message.removeprefix(f"{group_text(finding.group)}: ")
    said = reason.startswith(f"{finding.objective}{where}: {message}")
    detail = "see the first lines" if said else message
    place = promised_in(finding)
    return f"{finding.state} {finding.objective}{where}: {detail} ({place})"


def _exemplars(finding: Finding, links: Callable[[Exemplar], str]) -> Iterator[str]:
    for exemplar in finding.exemplars[:EXEMPLARS]:
        unit = finding.quantile.unit if finding.quantile is not None else ""
        value = "" if exemplar.value is None else quantity(exemplar.value, unit).strip()
        named = f"trace {exemplar.trace_id}" if exemplar.trace_id else None
        name = named or f"request {exemplar.request_id or 'unknown'}"
        yield "    " + "  ".join(part for part in (name, value, exemplar.detail) if part)
        link = links(exemplar)
        if link:
            yield f"    {link}"


def _books(verdict: Verdict) -> list[str]:
    lines = [
        *_labelled("requests", _requests(verdict.accounting)),
        *_labelled("traces", _traces(verdict.accounting)),
        *(line for text in _losses(verdict.accounting) for line in _labelled("lost", text)),
        *_labelled("lag", _lag(verdict.accounting)),
        *(line for text in _contract(verdict.contract) for line in _labelled("contract", text)),
        *_labelled("generator", _generator(verdict.validity)),
    ]
    return lines + [line for text in verdict.validity.warnings for line in _labelled("note", text)]


def _requests(found: Accounting) -> str:
    parts = {
        "answered": found.answered,
        "refused": found.refused,
        "unanswered": found.unanswered,
        "unsent": found.unsent,
        "missed": found.missed,
        "unreported": found.unreported,
    }
    return f"{found.intended:,} intended = {_sum(parts)}"


def _traces(found: Accounting) -> str:
    if found.expected_traces == 0:
        return "nothing to compare with Last9"
    parts = {
        "on time": found.joined,
        "late": found.late,
        "lost": found.lost,
        "with another request id": found.conflicts,
    }
    paths = ", ".join(f"{count:,} by {path}" for path, count in found.join_paths)
    text = f"{found.expected_traces:,} expected = {_sum(parts)}; {found.complete:,} complete"
    if found.population is not None:
        text = f"a random sample of {found.population:,}: {text}"
    text += f"; joined {paths}" if paths else ""
    refused = (
        f"; {found.optional_found:,} more that need not have arrived (refused, notifications)"
        if found.optional_found
        else ""
    )
    return text + refused


def _losses(found: Accounting) -> Iterator[str]:
    """Return one line per split: its largest parts, and how much the others hold."""
    for split in found.losses:
        parts = sorted(split.parts, key=lambda part: (-_size(part), part.value))
        told = [f"{part.value} {_loss(part)}" for part in parts[:LOSS_PARTS]]
        rest = sum(_size(part) for part in parts[LOSS_PARTS:])
        told += [f"{rest:,} in {len(parts) - LOSS_PARTS} others"] if rest else []
        yield f"by {split.by.replace('_', ' ')}: {'; '.join(told)}"
    if found.absent_roles:
        absent = ", ".join(f"{role} in {count:,}" for role, count in found.absent_roles)
        yield f"by span role: missing from traces that arrived: {absent}"


def _contract(gaps: tuple[ContractGap, ...]) -> Iterator[str]:
    for gap in gaps[:CONTRACT_GAPS]:
        whose = f"{gap.provider} " if gap.provider else ""
        share = percent(gap.missing / gap.total)
        spans = f"{gap.missing:,} of {gap.total:,} {whose}{gap.span_type} spans"
        yield f"{gap.attribute} missing on {spans} ({share})"
    if len(gaps) > CONTRACT_GAPS:
        yield f"and {len(gaps) - CONTRACT_GAPS} more, in verdict.json"


def _size(part: LossPart) -> int:
    return part.late + part.lost + part.conflicts + part.unreported


def _loss(part: LossPart) -> str:
    counts = {
        "lost": part.lost,
        "late": part.late,
        "in conflict": part.conflicts,
        "unreported": part.unreported,
    }
    return " + ".join(f"{count:,} {name}" for name, count in counts.items() if count)


def _sum(parts: dict[str, int]) -> str:
    """Return the terms that are not zero; the first is always shown."""
    first = next(iter(parts))
    return " + ".join(f"{n:,} {name}" for name, n in parts.items() if n or name == first)


def _lag(found: Accounting) -> str:
    if found.lag is None:
        return "unknown: nobody looked while traces arrived"
    middle = "" if found.lag_p50_s is None else f"p50 {significant(found.lag_p50_s)} s, "
    most = "" if found.lag_max_s is None else f", max {significant(found.lag_max_s)} s"
    return f"{middle}{quantile(found.lag)}{most} from answer to first sight (upper bounds)"


def _generator(facts: Validity) -> str:
    text = f"{facts.started:,} of {facts.offered:,} due requests started"
    if facts.start_lag_p99_ms is not None:
        text += f"; start lag p99 {quantity(facts.start_lag_p99_ms, 'ms')}"
    if facts.hub_lag_p99_ms is not None:
        text += f"; event-loop lag p99 {quantity(facts.hub_lag_p99_ms, 'ms')}"
    return text


def _next_steps(verdict: Verdict) -> list[str]:
    return [line for step in verdict.next_steps for line in _next_step(step)]


def _next_step(step: str) -> list[str]:
    """Keep a command in one piece, so that it can be copied."""
    lines = _labelled("next", step)
    text, found, arguments = step.partition(_COMMAND)
    if len(lines) == 1 or not found:
        return lines
    return [*_labelled("next", f"{text}:"), f"{'':<10}{_COMMAND.lstrip(': ')}{arguments}"]


def _labelled(label: str, text: str) -> list[str]:
    return _wrapped(f"{label:<9} {text}", hang=" " * 10)


def _wrapped(text: str, *, hang: str = "") -> list[str]:
    """Wrap at spaces, but never between a number and its unit."""
    lines = textwrap.wrap(
        _UNIT.sub("\\1\N{NO-BREAK SPACE}\\2", text),
        WIDTH,
        subsequent_indent=hang,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [line.replace("\N{NO-BREAK SPACE}", " ") for line in lines]

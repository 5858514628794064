"""Objectives: a grid of states for the first glance, then each with its numbers, interval and cause."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby

from tfy_last9.judge.phrases import percent, quantile, quantity
from tfy_last9.model.verdict import (
    SEVERITY,
    Exemplar,
    Finding,
    Group,
    Portion,
    State,
    Why,
    group_text,
)
from tfy_last9.reports.html.markup import NOTHING, Figure, Table, chip, css, esc, figure, num, table
from tfy_last9.reports.pointers import promised_in

_UNITS = 200.0
_MOST_LABELS = 3
_LEAST_SHARE = 0.01

Links = Callable[[Exemplar], str]


def glance(findings: Sequence[Finding]) -> str:
    """Return objectives down, groups across, a state in each cell that leads to the details."""
    if not findings:
        return '<p class="empty"><span aria-hidden="true">∅</span> No objective was judged.</p>'
    groups: list[Group] = sorted({finding.group for finding in findings}, key=lambda g: (len(g), g))
    rows = []
    for place, (name, same) in enumerate(_objectives(findings)):
        states = {finding.group: finding for finding in same}
        claim = f'<a href="#objective-{place}">{esc(name)}</a><span class="detail">{esc(same[0].claim)}</span>'
        cells = [_cell(states.get(group)) for group in groups]
        rows.append([claim, *cells])
    head = ["objective", *(group_text(group) for group in groups)]
    return table(head, rows, "State of every objective, per group", "glance")


def _cell(finding: Finding | None) -> str:
    if finding is None:
        return (
            '<span aria-hidden="true">\N{EN DASH}</span><span class="hidden">does not apply</span>'
        )
    observed = f'<span class="detail">{esc(_observed(finding))}</span>'
    light = "" if finding.critical else '<span class="detail">not critical</span>'
    return f"{chip(finding.state)}{observed}{light}"


def details(findings: Sequence[Finding], links: Links) -> str:
    """Return every objective, foldable; those that are not well stand open."""
    return "".join(
        _objective(place, name, same, links)
        for place, (name, same) in enumerate(_objectives(findings))
    )


def numbers(findings: Sequence[Finding]) -> Figure:
    """Return the findings as a table to download."""
    head = (
        *("objective", "group", "state", "critical", "n", "bad", "excluded", "budget"),
        *("bad_low", "bad_high", "percentile", "value", "low", "high", "unit", "measured"),
    )
    rows = []
    for one in findings:
        q = one.quantile
        values = (q.p, q.value, q.low, q.high, q.unit) if q else (None,) * 5
        counts = (one.total, one.bad, one.excluded, one.budget, one.bad_low, one.bad_high)
        named = (one.objective, group_text(one.group), one.state.value, str(one.critical).lower())
        rows.append((*named, *counts, *values, one.measured))
    title = "All objectives as numbers"
    lead = f"Counts, budgets and intervals of {len(rows)} findings."
    return Figure(
        "objectives", title, lead, " " if rows else "", Table(head, tuple(rows)), wide=True
    )


def numbers_card(findings: Sequence[Finding]) -> str:
    """Return the table's frame; nothing without findings."""
    return figure(numbers(findings)) if findings else ""


def _objectives(findings: Sequence[Finding]) -> list[tuple[str, list[Finding]]]:
    """Return findings by objective, the worst first, else in their own order."""
    found = [(name, list(same)) for name, same in groupby(findings, key=lambda one: one.objective)]
    return sorted(found, key=lambda item: -max(_weight(one) for one in item[1]))


def _weight(finding: Finding) -> int:
    return SEVERITY[finding.state] * 2 + (finding.critical and SEVERITY[finding.state] > 0)


def _objective(place: int, name: str, same: list[Finding], links: Links) -> str:
    worst = max(same, key=_weight)
    opened = " open" if SEVERITY[worst.state] > 0 else ""
    place_ = promised_in(worst)
    head = (
        f"<summary>{chip(worst.state)}<b>{esc(name)}</b><span>{esc(worst.claim)}</span></summary>"
    )
    is_change = worst.measured is not None and worst.bad_high is not None
    picture = "change on its margin" if is_change else "bad share on its budget"
    names = ("group", "state", "observed", picture, "n")
    grid = table(names, (_row(one) for one in same), f"{name}, per group", "findings")
    unwell = sorted((one for one in same if SEVERITY[one.state] > 0), key=_weight, reverse=True)
    said = "".join(_explained(one, links) for one in unwell)
    source = (
        f'<p class="hint">Promised in <code>{esc(place_)}</code>, measured in {_book(worst)}.</p>'
    )
    return (
        f'<details class="card objective {css(worst.state)}" id="objective-{place}"{opened}>{head}'
        f"{said}{grid}{source}</details>"
    )


def _row(one: Finding) -> list[str]:
    excluded = f'<span class="detail">{one.excluded:,} excluded</span>' if one.excluded else ""
    return [
        esc(group_text(one.group)),
        chip(one.state),
        esc(_observed(one)),
        _budget_bar(one),
        f"{one.total:,}{excluded}",
    ]


def _observed(one: Finding) -> str:
    if one.state is State.NOT_CONFIGURED:
        return "Last9 was not asked"
    if one.measured is not None:
        return one.measured
    if one.quantile is not None:
        return quantile(one.quantile)
    return f"{one.bad:,} bad of {one.total:,}" if one.total else "nothing"


def _budget_bar(one: Finding) -> str:
    """Return the bad share with its bounds against the budget, as picture and as words."""
    if one.measured is not None and one.bad_low is not None and one.bad_high is not None:
        return _change_bar(one, one.bad_low, one.bad_high)
    if not one.total or one.measured is not None:
        return NOTHING
    share = one.bad / one.total
    low, high = one.bad_low, one.bad_high
    most = min(1.0, max(2 * one.budget, 1.15 * (high or share), 1e-9))

    def x(value: float) -> str:
        return num(4 + min(1.0, value / most) * (_UNITS - 8))

    bounds = "" if low is None or high is None else f" [{percent(low)}, {percent(high)}]"
    words = f"{percent(share)}{bounds} of {percent(one.budget)} allowed"
    interval = ""
    if low is not None and high is not None:
        interval = f'<line class="interval" x1="{x(low)}" x2="{x(high)}" y1="10" y2="10"/>'
    return (
        f'<svg class="budget {css(one.state)}" viewBox="0 0 200 20" role="img" aria-label="{esc(words)}">'
        f'<rect class="allowed" x="4" y="6" width="{num(float(x(one.budget)) - 4)}" height="8"/>'
        f'{interval}<line class="limit" x1="{x(one.budget)}" x2="{x(one.budget)}" y1="1" y2="19"/>'
        f'<circle class="seen" cx="{x(share)}" cy="10" r="4"/></svg><span class="detail">{esc(words)}</span>'
    )


def _change_bar(one: Finding, low: float, high: float) -> str:
    """Return the interval of a change from baseline to canary, 0 in the middle, against its margin."""
    most = 1.15 * max(abs(low), abs(high), 2 * one.budget, 1e-9)

    def x(value: float) -> str:
        return num(_UNITS / 2 + value / most * (_UNITS / 2 - 4))

    words = f"change between {percent(low)} and {percent(high)}, {percent(one.budget)} allowed"
    return (
        f'<svg class="budget {css(one.state)}" viewBox="0 0 200 20" role="img" aria-label="{esc(words)}">'
        f'<rect class="allowed" x="4" y="6" width="{num(float(x(one.budget)) - 4)}" height="8"/>'
        f'<line class="zero" x1="{x(0.0)}" x2="{x(0.0)}" y1="4" y2="16"/>'
        f'<line class="interval" x1="{x(low)}" x2="{x(high)}" y1="10" y2="10"/>'
        f'<line class="limit" x1="{x(one.budget)}" x2="{x(one.budget)}" y1="1" y2="19"/></svg>'
        f'<span class="detail">{esc(words)}</span>'
    )


def _explained(one: Finding, links: Links) -> str:
    items = "".join(_exemplar(found, one, links) for found in one.exemplars[:3])
    worst = f'<p class="hint">Worst of them:</p><ul class="exemplars">{items}</ul>' if items else ""
    because = _why(one.why, [label for label, _ in one.group]) if one.why else ""
    return f'<div class="said {css(one.state)}"><p>{esc(one.message)}</p>{because}{worst}</div>'


def _exemplar(found: Exemplar, one: Finding, links: Links) -> str:
    unit = one.quantile.unit if one.quantile else ""
    value = "" if found.value is None else quantity(found.value, unit).strip()
    name = (
        f"trace {found.trace_id}" if found.trace_id else f"request {found.request_id or 'unknown'}"
    )
    page = links(found)
    shown = f"<code>{esc(name)}</code>"
    if page.startswith("https://"):
        shown = f'<a href="{esc(page)}" rel="noreferrer">{shown}</a>'
    return f"<li>{shown} {esc(' '.join(part for part in (value, found.detail) if part))}</li>"


def _why(why: Why, grouped: Sequence[str]) -> str:
    """Return what is known about the cause: where, in which stage, since when, with what in common."""
    items = [f"<li>{text}</li>" for text in _causes(why, grouped)]
    return f'<ul class="facts">{"".join(items)}</ul>' if items else ""


def _says_nothing(label: str, portions: Sequence[Portion]) -> bool:
    """Tell whether all that was seen of the bad ones is that they were served: they were slow."""
    return label == "seen" and all(one.name == "ok" for one in portions)


def _causes(why: Why, grouped: Sequence[str]) -> Iterator[str]:
    if why.stages:
        what = "Failed in" if why.stages[0].bad_ms is None else "Lost time"
        found = (_stage(one) for one in why.stages if one.share >= _LEAST_SHARE)
        yield f"{what}: {'; '.join(found)}"
    common = [
        f"{esc(label)} {', '.join(_portion(one) for one in portions[:_MOST_LABELS])}"
        for label, portions in why.where
        if label not in grouped and not _says_nothing(label, portions)
    ]
    if common:
        yield "Bad ones are: " + "; ".join(common)
    for lift in why.lifts[:_MOST_LABELS]:
        text = f"{lift.label}={lift.value}: bad at least {lift.factor:.3g} times as often ({lift.bad:,} of {lift.total:,})"
        yield esc(text)
    if why.first_bad_minute is not None:
        yield f"Over budget first in minute {why.first_bad_minute + 1} of the judged time"


def _portion(one: Portion) -> str:
    return f"{esc(one.name)} {percent(one.share)}"


def _stage(one: Portion) -> str:
    times = ""
    if one.bad_ms is not None and one.good_ms is not None:
        times = f" ({quantity(one.bad_ms, 'ms')}, usually {quantity(one.good_ms, 'ms')})"
    return f"<b>{esc(one.name)} {percent(one.share)}</b>{esc(times)}"


def _book(finding: Finding) -> str:
    books = {
        "client-ledger": "the client's ledger",
        "ledger": "the client's ledger",
        "last9": "Last9's spans",
        "both": "both books",
    }
    return esc(books.get(finding.book, finding.book))

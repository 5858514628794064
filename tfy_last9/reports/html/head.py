"""The first screen: what is the answer, why, what to do next, and the size of what was measured."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tfy_last9.judge.phrases import percent, quantity, significant
from tfy_last9.model.pictures import TOTAL, TTFT, Pictures
from tfy_last9.model.run import EvidenceRecord, Manifest
from tfy_last9.model.verdict import SEVERITY, Accounting, Finding, State, Verdict, group_text
from tfy_last9.reports.html.axes import seconds
from tfy_last9.reports.html.markup import NOTHING, chip, css, esc
from tfy_last9.reports.pointers import with_folder

MEANINGS = {
    State.PASS: "Every critical objective is proven within its budget.",
    State.INFO: "Objectives were shown, not judged.",
    State.NOT_CONFIGURED: "Judged without Last9.",
    State.WARN: "Safe to release; something non-critical or close to its budget wants a look.",
    State.INCONCLUSIVE: "Too few requests to prove it either way. This is not a pass.",
    State.NO_DATA: "Some evidence never came. Silence is not a pass.",
    State.ERROR: "The measurement itself is not sound, so nothing is concluded about the gateway.",
    State.FAIL: "At least one critical objective is proven broken.",
}
UNJUDGED = "nothing can be said about the objectives: "
"""What a reason begins with that the headline says already."""
_TILE_P = 0.95
_MOST_GROUPS = 6
_MOST_NAMED = 4
_OPTION = re.compile(r"(?<![\w-])(--[a-z][a-z-]*)")
_COMMAND = re.compile(r"^(?P<text>.*?)(?:: |\s)(?P<command>tfy-last9 \S.*)$", re.DOTALL)


def head(verdict: Verdict, manifest: Manifest) -> str:
    """Return state, reason and next steps."""
    problems = "".join(f"<li>{esc(text)}</li>" for text in verdict.validity.problems)
    invalid = f'<ul class="problems">{problems}</ul>' if len(verdict.validity.problems) > 1 else ""
    sandbox = '<span class="tag">sandbox</span>' if manifest.sandbox else ""
    faults = "".join(f'<span class="tag">fault {esc(name)}</span>' for name in manifest.faults)
    return (
        f'<section class="verdict {css(verdict.state)}" aria-labelledby="verdict">'
        f'<p class="run">{esc(verdict.scenario)} <span class="n">run {esc(verdict.run_id)}</span>{sandbox}{faults}</p>'
        f'<h1 id="verdict">{chip(verdict.state)} <span>{esc(_headline(verdict))}</span></h1>'
        f'<p class="reason">{esc(verdict.reason.removeprefix(UNJUDGED))}</p>{invalid}{_unwell(verdict)}{_next_steps(verdict)}</section>'
    )


def _headline(verdict: Verdict) -> str:
    """Return the answer in one line: of a failure the promise that broke and for whom, else its meaning."""
    for one in verdict.findings:
        where = f", {group_text(one.group)}" if one.group else ""
        if one.state is State.FAIL and verdict.reason.startswith(f"{one.objective}{where}: "):
            broken = sum(other.state is State.FAIL and other.critical for other in verdict.findings)
            more = f", and {broken - 1} more" if broken > 1 else ""
            whom = f" for {group_text(one.group)}" if one.group else ""
            return f"Broken{whom}: {one.claim}{more}"
    return MEANINGS[verdict.state]


def _unwell(verdict: Verdict) -> str:
    """Return what is not well, by whom it concerns: one line per provider says more than ten findings."""
    found: dict[str, list[Finding]] = {}
    for one in sorted(verdict.findings, key=lambda one: -SEVERITY[one.state]):
        if SEVERITY[one.state] > 0 and one.critical:
            found.setdefault(group_text(one.group), []).append(one)
    if sum(len(same) for same in found.values()) <= 1:
        return ""
    items = []
    for name, same in list(found.items())[:_MOST_GROUPS]:
        chips = [
            f'<span class="whole">{chip(one.state)} {esc(one.objective)}</span>'
            for one in same[:_MOST_NAMED]
        ]
        more = f" and {len(same) - _MOST_NAMED} more" if len(same) > _MOST_NAMED else ""
        items.append(f"<li><b>{esc(name)}</b> {' '.join(chips)}{more}</li>")
    more = (
        f"<li>and {len(found) - _MOST_GROUPS} more below</li>" if len(found) > _MOST_GROUPS else ""
    )
    return f'<h2 class="small">What is not well</h2><ul class="broken">{"".join(items)}{more}</ul>'


def _next_steps(verdict: Verdict) -> str:
    if not verdict.next_steps:
        return ""
    # A folder does not know where it lies; by default it lies in runs/.
    folder = f"runs/{verdict.run_id}"
    steps = [with_folder(step, verdict.run_id, folder) for step in verdict.next_steps]
    items = "".join(f"<li>{_step(step)}</li>" for step in steps)
    return f'<h2 class="small">Do next</h2><ol class="steps">{items}</ol>'


def _step(step: str) -> str:
    found = _COMMAND.match(step)
    if found is None:
        return _OPTION.sub(r'<code class="whole">\1</code>', esc(step))
    return f"{esc(found['text'])}<pre>{esc(found['command'])}</pre>"


def tiles(verdict: Verdict, pictures: Pictures, manifest: Manifest, *, asked: bool) -> str:
    """Return the numbers that place the run: how much was sent, found, spent.

    `asked`: evidence was fetched.
    """
    items = "".join(
        f'<div class="tile"><dt>{esc(name)}</dt><dd>{esc(value)}<span class="detail">{esc(more)}</span></dd></div>'
        for name, value, more in _tiles(verdict, pictures, manifest, asked=asked)
    )
    return f'<dl class="tiles">{items}</dl>'


def _tiles(
    verdict: Verdict, pictures: Pictures, manifest: Manifest, *, asked: bool
) -> Iterator[tuple[str, str, str]]:
    found = verdict.accounting
    length = f"in {seconds(pictures.step_s * pictures.columns)}"
    yield "Requests", f"{found.intended:,}", f"{found.answered:,} answered, {length}"
    yield ("Traces complete", *_completeness(found, asked=asked, client_only=manifest.client_only))
    for measure, name in ((TTFT, "Slowest p95 first token"), (TOTAL, "Slowest p95 total")):
        known = [
            (found.value, h)
            for h in pictures.histograms
            for found in h.quantiles
            if h.measure == measure and found.p == _TILE_P
        ]
        if known:
            value, worst = max(known, key=lambda item: item[0])
            yield name, quantity(value, "ms"), f"{worst.provider}, n = {worst.n:,}"
    failed = found.intended - found.answered + _failed(pictures)
    if found.intended:
        missed = f"; {found.missed:,} never started" if found.missed else ""
        yield (
            "Not served",
            percent(min(1.0, failed / found.intended)),
            f"{failed:,} of {found.intended:,}{missed}",
        )
    if any(one.priced for one in pictures.spend):
        usd = sum(one.usd for one in pictures.spend)
        priced, calls = (
            sum(getattr(o, name) for o in pictures.spend) for name in ("priced", "calls")
        )
        yield "Cost", f"{significant(usd)} USD", f"{priced:,} of {calls:,} calls priced"
    if found.lag is not None:
        yield "Seen in Last9", f"{significant(found.lag.value)} s", "p95 after the answer, at most"


def _completeness(found: Accounting, *, asked: bool, client_only: bool) -> tuple[str, str]:
    if found.expected_traces:
        seen = found.joined + found.late
        text = f"{found.complete:,} of {found.expected_traces:,}; {seen:,} found"
        if found.population is not None:
            text += f", a sample of {found.population:,}"
        return percent(found.complete / found.expected_traces), text
    if client_only:
        return NOTHING, "client only: Last9 was not asked"
    return NOTHING, "none expected" if asked else "Last9 was not asked any more"


def _failed(pictures: Pictures) -> int:
    """Return the answered requests whose answer was an error."""
    named = {"http_error", "provider_error"}
    return round(
        sum(sum(v or 0 for v in one.values) for one in pictures.errors.series if one.name in named)
    )


def facts(verdict: Verdict, manifest: Manifest, evidence: EvidenceRecord | None) -> str:
    """Return what the run was, for someone who did not start it."""
    rows = [
        ("gateway", manifest.gateway_url),
        (
            "scenario",
            f"{manifest.scenario.name}, seed {manifest.scenario.seed}, {manifest.scenario.arrivals} arrivals",
        ),
        ("targets", ", ".join(f"{one.name} ({one.model})" for one in manifest.scenario.targets)),
        (
            "ended",
            f"{manifest.ended or 'broke off'}; exit code {verdict.exit_code} ({verdict.reason_code})",
        ),
        (
            "versions",
            ", ".join(f"{name} {version}" for name, version in sorted(manifest.versions.items())),
        ),
    ]
    if evidence is not None:
        asked = f"{evidence.strategy}, {evidence.queries:,} queries, {evidence.rows_fetched:,} rows fetched"
        rows.append(("evidence", asked))
        if evidence.region:
            rows.append(("Last9 region", evidence.region))
        if evidence.error:
            rows.append(("Last9 error", evidence.error))
        if evidence.contents:
            rows.append(("contents", evidence.contents))
        rows += [("note", text) for text in evidence.warnings]
    rows += [("note", text) for text in verdict.validity.warnings]
    return (
        '<dl class="facts-list">'
        + "".join(f"<dt>{esc(n)}</dt><dd>{esc(v)}</dd>" for n, v in rows)
        + "</dl>"
    )

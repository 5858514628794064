"""`report.html`: the sections of the page, its policy, and the numbers embedded for download.

The Content-Security-Policy allows this page's own style and script by their hashes and nothing else: no
request can leave the page, and markup that slipped through would not run.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import cache
from importlib import resources

from tfy_last9.judge.phrases import percent, significant
from tfy_last9.model.pictures import LAG, TOTAL, TTFT, Pictures, Series, Timeline
from tfy_last9.model.run import EvidenceRecord, Manifest
from tfy_last9.model.verdict import Exemplar, State, Verdict
from tfy_last9.reports.html import objectives
from tfy_last9.reports.html.flows import accounting
from tfy_last9.reports.html.gaps import token_gaps
from tfy_last9.reports.html.head import facts, head, tiles
from tfy_last9.reports.html.latency import distribution, heat
from tfy_last9.reports.html.markup import Figure, esc, figure
from tfy_last9.reports.html.timelines import TimeAxis, area, axis_of, bars, lines
from tfy_last9.reports.html.waterfalls import waterfalls

Links = Callable[[Exemplar], str]
FAVICON = {
    State.PASS: "1a7f37",
    State.WARN: "9a6700",
    State.FAIL: "cf222e",
    State.ERROR: "bc4c00",
    State.NO_DATA: "0b6b8a",
    State.INCONCLUSIVE: "6639ba",
}


def render(
    verdict: Verdict,
    pictures: Pictures,
    manifest: Manifest,
    evidence: EvidenceRecord | None,
    links: Links,
) -> str:
    """Return the page; the same records give the same bytes."""
    groups = _groups(pictures, evidence)
    figures = [drawn for _, _, drawn_ in groups for drawn in drawn_]
    sections = [
        _section("objectives-all", "Objectives", _objectives(verdict, links)),
        _section(
            "worst", "Worst requests", waterfalls(pictures.worst, verdict.run_id, _traces(links))
        ),
        *(_section(name, title, _cards(drawn)) for name, title, drawn in groups),
        _section("about", "About this run", facts(verdict, manifest, evidence)),
    ]
    nav = [("objectives-all", "Objectives"), ("worst", "Worst requests")]
    nav += [(name, name.capitalize()) for name, _, _ in groups] + [("about", "About")]
    body = (
        head(verdict, manifest)
        + tiles(verdict, pictures, manifest, asked=evidence is not None)
        + "".join(sections)
    )
    data = _data([*figures, objectives.numbers(verdict.findings)])
    return _document(verdict, nav, body, data)


def _objectives(verdict: Verdict, links: Links) -> str:
    shown = objectives.glance(verdict.findings) + objectives.details(verdict.findings, links)
    return shown + objectives.numbers_card(verdict.findings)


def _groups(
    pictures: Pictures, evidence: EvidenceRecord | None
) -> list[tuple[str, str, list[Figure]]]:
    axis = axis_of(pictures)
    latency = [
        make
        for measure in (TTFT, TOTAL)
        for make in (
            heat(measure, pictures.heats, pictures.limits, axis),
            distribution(measure, pictures.histograms, pictures.limits),
        )
    ]
    latency.append(token_gaps(pictures.gaps))
    return [
        ("latency", "Latency as users felt it", latency),
        ("traffic", "Traffic, errors, cost", _traffic(pictures, axis)),
        ("loss", "What became of every request and its trace", _loss(pictures, evidence)),
        ("generator", "Was the generator itself healthy?", _generator(pictures, axis)),
    ]


def _traffic(pictures: Pictures, axis: TimeAxis) -> list[Figure]:
    nothing = "No request was planned or recorded."
    no_error = "No request ended in an error: nothing to show, and that is good."
    no_price = "No span carries a cost. The gateway writes one where a price is configured."
    no_count = "No answer reported how many tokens it had."
    return [
        lines("rates", "Offered and finished", "requests/s", axis, pictures.rates, nothing),
        area("in-flight", "Requests under way", "requests", axis, pictures.in_flight, nothing),
        bars(
            "errors",
            "Errors by kind",
            "requests",
            axis,
            pictures.errors,
            no_error if pictures.rates.n else nothing,
        ),
        lines("tokens", "Output tokens", "tokens/s", axis, pictures.tokens, no_count),
        _cost(pictures, axis, no_price),
    ]


def _cost(pictures: Pictures, axis: TimeAxis, empty: str) -> Figure:
    drawn = lines("cost", "Cost so far", "USD", axis, pictures.cost, empty)
    if not drawn.plots:
        return drawn
    each = ", ".join(f"{one.provider} {significant(one.usd)}" for one in pictures.spend)
    priced, calls = (sum(getattr(o, name) for o in pictures.spend) for name in ("priced", "calls"))
    usd = significant(sum(one.usd for one in pictures.spend))
    return replace(
        drawn, lead=f"{usd} USD: {each}; n = {priced:,} of {calls:,} provider calls with a price."
    )


def _loss(pictures: Pictures, evidence: EvidenceRecord | None) -> list[Figure]:
    lags = [pictures.lag] if pictures.lag else []
    return [accounting(pictures.flows), distribution(LAG, lags, ()), _settling(evidence)]


def _settling(evidence: EvidenceRecord | None) -> Figure:
    """Return how the evidence filled up while waiting."""
    title = "Complete traces while waiting"
    points = evidence.history if evidence else ()
    if not points or not points[-1].expected:
        return Figure(
            "settling",
            title,
            "",
            "",
            empty="Nobody waited: Last9 was not asked, or nothing was expected.",
        )
    zero_ns, end_ns = points[0].at_ns, points[-1].at_ns
    step_s = max(1.0, (end_ns - zero_ns) / 1e9 / 100)
    columns = int((end_ns - zero_ns) / 1e9 // step_s) + 1
    values: list[float | None] = [None] * columns
    for point in points:
        at = int((point.at_ns - zero_ns) / 1e9 // step_s)
        values[at] = 100.0 * point.complete / max(1, point.expected)
    held: list[float | None] = []
    for value in values:
        held.append(value if value is not None else held[-1] if held else None)
    axis = TimeAxis(round(step_s, 3), columns, ())
    drawn = Timeline((Series("complete", tuple(held)),), points[-1].expected)
    last = points[-1]
    share = percent(last.complete / last.expected)
    lead = (
        f"{share} of the expected traces were complete when waiting ended; n = {last.expected:,}."
    )
    return replace(area("settling", title, "%", axis, drawn, ""), lead=lead)


def _generator(pictures: Pictures, axis: TimeAxis) -> list[Figure]:
    why = "No health sample was recorded: the load process wrote none, or the run broke off."
    return [
        lines(
            "start-lag", "Start lag, worst of each moment", "ms", axis, pictures.start_lag_ms, why
        ),
        lines(
            "hub-lag", "Event-loop lag, worst of each moment", "ms", axis, pictures.hub_lag_ms, why
        ),
        lines("cpu", "CPU of the generator", "%", axis, pictures.cpu_percent, why),
    ]


def _traces(links: Links) -> Callable[[str], str]:
    return lambda trace_id: links(Exemplar(None, trace_id, None, ""))


def _cards(drawn: Iterable[Figure]) -> str:
    return f'<div class="cards">{"".join(figure(one) for one in drawn)}</div>'


def _section(name: str, title: str, body: str) -> str:
    return f'<section id="{name}" aria-labelledby="{name}-head"><h2 id="{name}-head">{esc(title)}</h2>{body}</section>'


def _data(figures: Iterable[Figure]) -> str:
    """Return the tables as JSON that cannot end the script element it stands in."""
    tables = {
        one.name: {"title": one.title, "columns": one.table.columns, "rows": one.table.rows}
        for one in figures
        if one.table is not None
    }
    text = json.dumps(tables, separators=(",", ":"), allow_nan=False)
    for char in "<>&":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return text


@cache
def _asset(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"


def _document(verdict: Verdict, nav: list[tuple[str, str]], body: str, data: str) -> str:
    style, script = _asset("style.css"), _asset("behaviour.js")
    policy = (
        f"default-src 'none'; style-src {_digest(style)}; script-src {_digest(script)}; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    icon = (
        "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 8 8'%3E"
        f"%3Ccircle cx='4' cy='4' r='4' fill='%23{FAVICON.get(verdict.state, '57606a')}'/%3E%3C/svg%3E"
    )
    items = "".join(f'<li><a href="#{name}">{esc(title)}</a></li>' for name, title in nav)
    title = f"{verdict.state.replace('_', ' ')}: {verdict.scenario}, {verdict.run_id}"
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<meta name="robots" content="noindex">
<meta name="color-scheme" content="light dark">
<title>{esc(title)}</title>
<link rel="icon" href="{icon}">
<style>{style}</style>
</head>
<body>
<a class="skip" href="#content">Skip to the verdict</a>
<header><span class="brand">tfy-last9 report</span><nav aria-label="Sections"><ul>{items}</ul></nav>
<button type="button" id="theme" aria-label="Colours: as the system">◐ Auto</button></header>
<main id="content" tabindex="-1">
{body}
</main>
<footer>Computed from the run folder alone; complete without a login. Intervals hold with 95 % unless said otherwise.</footer>
<script type="application/json" id="data">{data}</script>
<script>{script}</script>
</body>
</html>
"""

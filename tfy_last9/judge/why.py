"""Join a verdict with what is known about its causes, in words that fit on a line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from tfy_last9.judge.phrases import percent, quantity
from tfy_last9.model.verdict import (
    SEVERITY,
    BurnRate,
    Finding,
    Group,
    Portion,
    Verdict,
    Why,
    group_text,
)

Claim = tuple[str, Group]
_NAMED = 0.9
"""A single name that holds this share of the bad events is told without the others."""
_TOLD = 0.05
"""Stages that explain less are not told."""


def unexplained(verdict: Verdict) -> tuple[Finding, ...]:
    """Return the findings that owe an explanation: everything that is not PASS and saw something bad."""
    return tuple(finding for finding in verdict.findings if SEVERITY[finding.state] > 0)


def attach(verdict: Verdict, causes: Mapping[Claim, Why]) -> Verdict:
    """Return the verdict with its causes, the first of them in its reason."""
    findings = tuple(
        replace(finding, why=causes.get((finding.objective, finding.group)))
        for finding in verdict.findings
    )
    reason = verdict.reason
    for finding in findings:
        if finding.why is not None and is_said(finding, reason):
            told = sentence(finding.why)
            reason = f"{reason}; {told}" if told else reason
            break
    return replace(verdict, findings=findings, reason=reason)


def with_burns(verdict: Verdict, burns: Mapping[Claim, tuple[BurnRate, ...]]) -> Verdict:
    """Return the verdict with the burn rates of its findings."""
    findings = tuple(
        replace(finding, burn_rates=burns.get((finding.objective, finding.group), ()))
        for finding in verdict.findings
    )
    return replace(verdict, findings=findings)


def burning(finding: Finding) -> list[str]:
    """Return one line per pair of windows in which an alert would be due."""
    return [
        f"burn rate {rate.long_rate:.3g} over {rate.long_s // 3600} h and {rate.short_rate:.3g} over"
        f" {rate.short_s // 60} min, both above {rate.factor:.3g}"
        for rate in finding.burn_rates
        if rate.is_exceeded
    ]


def is_said(finding: Finding, reason: str) -> bool:
    """Tell whether the reason of the run is about this finding."""
    where = f", {group_text(finding.group)}" if finding.group else ""
    message = finding.message.removeprefix(f"{group_text(finding.group)}: ")
    return reason.startswith(f"{finding.objective}{where}: {message}")


def sentence(why: Why) -> str:
    """Return the stages in one phrase: `provider wait explains 96 % of it`; empty without any."""
    told = [stage for stage in why.stages if stage.share >= _TOLD]
    if not told:
        return ""
    first, *others = told
    text = f"{first.name} explains {percent(first.share)} of it"
    return text + "".join(f", {stage.name} {percent(stage.share)}" for stage in others)


def details(why: Why) -> list[str]:
    """Return what else is known, one line each: where, stages with times, since when, in common."""
    lines = ["where: " + "; ".join(_where(label, found) for label, found in why.where if found)]
    timed = [stage for stage in why.stages if stage.bad_ms is not None and stage.share >= _TOLD]
    if timed:
        lines.append("time: " + "; ".join(map(_timed, timed)))
    elif sentence(why):
        lines.append(f"stage: {sentence(why)}")
    if why.first_bad_minute is not None:
        lines.append(f"first bad minute: {why.first_bad_minute} (0 is the first judged one)")
    if why.lifts:
        lines.append(
            "in common: "
            + "; ".join(
                f"{lift.label} {lift.value}, at least {lift.factor:.2g} times as often"
                f" ({lift.bad:,} of {lift.total:,})"
                for lift in why.lifts
            )
        )
    return lines


def _where(label: str, found: tuple[Portion, ...]) -> str:
    names = found[:1] if found[0].share >= _NAMED else found
    return f"{label} " + ", ".join(
        one.name if one.share == 1.0 else f"{one.name} {percent(one.share)}" for one in names
    )


def _timed(stage: Portion) -> str:
    assert stage.bad_ms is not None
    text = f"{stage.name} {percent(stage.share)}, {quantity(stage.bad_ms, 'ms')}"
    usual = "" if stage.good_ms is None else f" (good ones {quantity(stage.good_ms, 'ms')})"
    return text + usual

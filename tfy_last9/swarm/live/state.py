"""What the page asks for once a second: one document with everything about the newest run."""

from __future__ import annotations

import time
from collections.abc import Iterable
from enum import StrEnum
from shlex import quote
from typing import Any

from tfy_last9.judge.phrases import quantity
from tfy_last9.model.verdict import State
from tfy_last9.progress.live_run import LiveRun
from tfy_last9.progress.standings import Place, about, summary
from tfy_last9.reports.html.head import MEANINGS
from tfy_last9.swarm.judging import Judging, Stage
from tfy_last9.swarm.live.tabs import milliseconds
from tfy_last9.swarm.runs import Entry

_NS_PER_MS = 1_000_000


class Shown(StrEnum):
    """Stages of a run before its load has ended; `Stage` follows."""

    READY = "ready"
    STARTING = "starting"
    LOADING = "loading"
    DRAINING = "draining"


def document(entries: Iterable[Entry], *, is_stopping: bool) -> dict[str, Any]:
    """Return the state of the newest run, and what became of the earlier ones."""
    known = list(entries)
    if not known:
        return {"stage": Shown.READY, "runs": []}
    newest, now_ns = known[-1], time.time_ns()
    found: dict[str, Any] = {
        "stage": _stage(newest, now_ns, is_stopping=is_stopping),
        "run": _run(newest, now_ns),
        "runs": [_brief(entry) for entry in reversed(known)],
    }
    if newest.run.live is not None:
        found |= _numbers(newest.run.live)
    if newest.judging is not None:
        found |= {"settling": _settling(newest.judging), "verdict": _verdict(newest.judging)}
    return found


def _stage(entry: Entry, now_ns: int, *, is_stopping: bool) -> str:
    if entry.judging is not None:
        return entry.judging.stage
    start_ns = entry.run.start_ns
    if start_ns is None or now_ns < start_ns:
        return Shown.STARTING
    is_over = now_ns > start_ns + entry.run.scenario.duration_s * 1e9
    return Shown.DRAINING if is_over or is_stopping else Shown.LOADING


def _run(entry: Entry, now_ns: int) -> dict[str, Any]:
    scenario = entry.run.scenario
    start_ns = entry.run.start_ns
    elapsed_s = None if start_ns is None else max(0.0, (now_ns - start_ns) / 1e9)
    live = entry.run.live
    return {
        "id": entry.run.run_id,
        "scenario": scenario.name,
        "description": scenario.description,
        "slo": entry.slo,
        "started_ms": None if start_ns is None else start_ns // _NS_PER_MS,
        "duration_s": scenario.duration_s,
        "elapsed_s": None if elapsed_s is None else round(elapsed_s, 1),
        "phase": None if live is None or elapsed_s is None else live.phase(elapsed_s),
        "phases": [
            {"name": one.name, "duration_s": one.duration_s, "judged": one.judged}
            for one in scenario.phases
        ],
        "users": scenario.limits.users,
        "report": _report(entry),
    }


def _report(entry: Entry) -> str | None:
    is_there = entry.judging is not None and entry.judging.stage is Stage.JUDGED
    return f"tfy/runs/{entry.run.run_id}/report.html" if is_there else None


def _brief(entry: Entry) -> dict[str, Any]:
    verdict = entry.judging.verdict if entry.judging is not None else None
    return {
        "id": entry.run.run_id,
        "scenario": entry.run.scenario.name,
        "slo": entry.slo,
        "state": None if verdict is None else verdict["state"],
        "report": _report(entry),
    }


def _numbers(live: LiveRun) -> dict[str, Any]:
    places = live.places()
    return {
        "totals": live.totals,
        "outcomes": live.outcomes,
        "spent": {
            "input_tokens": live.spent.input_tokens,
            "output_tokens": live.spent.output_tokens,
            "cost_usd": live.spent.cost_usd,
        },
        "providers": [
            {
                "name": one.name,
                "n": one.n,
                "errors": one.errors,
                **dict(milliseconds(one)),
                "summary": summary(about(one.name, places)),
            }
            for one in live.providers()
        ],
        "objectives": [_place(one) for one in places],
        "limits": _limits(live),
        "course": live.course.document(),
    }


def _limits(live: LiveRun) -> dict[str, Any]:
    """Return the strictest limit on each time that is drawn."""
    found = {}
    for measure, limits in live.limits.items():
        promised, limit_ms = min(limits, key=lambda pair: pair[1])
        text = f"SLO p{100 * promised:.6g} {quantity(limit_ms, 'ms')}"
        found[measure] = {"value": limit_ms, "text": text}
    return found


def _place(place: Place) -> dict[str, Any]:
    return {
        "objective": place.objective,
        "group": " / ".join(place.group),
        "claim": place.claim,
        "critical": place.critical,
        "standing": place.standing,
        "words": place.words,
        "n": place.total,
        "bad": place.bad,
        "budget": place.budget,
        "used": place.used,
    }


def _settling(judging: Judging) -> dict[str, Any]:
    return {**judging.progress, "course": judging.course, "lines": list(judging.lines)}


def _verdict(judging: Judging) -> dict[str, Any] | None:
    found = judging.verdict
    if found is None:
        return None
    findings = found["findings"]
    run_id, path = found["run_id"], quote(str(judging.folder.path))
    states = [finding["state"] for finding in findings]
    return {
        "state": found["state"],
        "meaning": MEANINGS[State(found["state"])],
        "reason": found["reason"],
        "exit_code": judging.exit_code,
        "next_steps": [step.replace(run_id, path) for step in found["next_steps"]],
        "counts": {state: states.count(state) for state in dict.fromkeys(states)},
        "findings": [_finding(finding) for finding in findings],
    }


def _finding(found: dict[str, Any]) -> dict[str, Any]:
    total, budget = found["total"], found["budget"]
    is_counted = bool(total and budget)
    return {
        "objective": found["objective"],
        "group": " / ".join(found["group"].values()),
        "claim": found["claim"],
        "critical": found["critical"],
        "standing": found["state"],
        "n": total,
        "bad": found["bad"],
        "budget": budget,
        "used": found["bad"] / total / budget if is_counted else None,
        "message": found["message"],
    }

"""`ctrf.json`: the verdict in the Common Test Report Format (ctrf.io), one test per objective and group.

Valid against `schema/ctrf.schema.json` of github.com/ctrf-io/ctrf, which allows no property of our own
outside `extra`. Our state is in `rawStatus`.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from tfy_last9.model.verdict import Finding, State, Verdict, group_text

SPEC_VERSION = "0.0.0"
"""The only version that the specification names so far."""
_STATUSES = ("passed", "failed", "skipped", "pending", "other")
_UNWELL = {State.FAIL, State.INCONCLUSIVE, State.NO_DATA, State.ERROR}
_NAMESPACE = uuid5(NAMESPACE_URL, "https://ctrf.io/tfy-last9")


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What CTRF asks for and the verdict does not hold, from run.json."""

    version: str
    start_ms: int
    """UTC, milliseconds since 1970."""
    stop_ms: int


def render(verdict: Verdict, facts: RunFacts) -> str:
    """Return the JSON text; ends with a line break."""
    tests = [_of_run(verdict, facts), *(_test(verdict, item) for item in verdict.findings)]
    counted = Counter(test["status"] for test in tests)
    document = {
        "reportFormat": "CTRF",
        "specVersion": SPEC_VERSION,
        "generatedBy": "tfy-last9",
        "results": {
            "tool": {"name": "tfy-last9", "version": facts.version},
            "summary": {
                "tests": len(tests),
                **{status: counted[status] for status in _STATUSES},
                "suites": 1,
                "start": facts.start_ms,
                "stop": facts.stop_ms,
                "extra": {"exit_code": verdict.exit_code, "reason_code": verdict.reason_code},
            },
            "tests": tests,
        },
        "extra": {"run_id": verdict.run_id},
    }
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _of_run(verdict: Verdict, facts: RunFacts) -> dict[str, Any]:
    """Return the test of the run itself: it fails whenever the exit code does."""
    return {
        "id": str(uuid5(_NAMESPACE, verdict.scenario)),
        "name": f"{verdict.scenario}: verdict",
        "status": "failed" if verdict.exit_code else "passed",
        "duration": facts.stop_ms - facts.start_ms,
        "suite": [verdict.scenario],
        "message": verdict.reason,
        "rawStatus": verdict.state.value,
    }


def _test(verdict: Verdict, finding: Finding) -> dict[str, Any]:
    name = f"{finding.objective}: {group_text(finding.group)}"
    place = {"filePath": f"slo/{finding.path}", "line": finding.line} if finding.path else {}
    return {
        "id": str(uuid5(_NAMESPACE, f"{verdict.scenario}/{finding.objective}/{finding.group}")),
        "name": name,
        "status": _status(verdict, finding),
        "duration": 0,
        "suite": [verdict.scenario, finding.objective],
        "message": f"{finding.claim}: {finding.message}",
        "rawStatus": finding.state.value,
        "tags": ["critical"] if finding.critical else [],
        "labels": dict(finding.group),
        **place,
        "extra": {
            "total": finding.total,
            "bad": finding.bad,
            "budget": finding.budget,
            "requests_needed": finding.requests_needed,
        },
    }


def _status(verdict: Verdict, finding: Finding) -> str:
    """Return the status; what did not decide the exit code is `other`, so that no CI turns red over it."""
    if finding.state in _UNWELL:
        return "failed" if finding.critical and verdict.exit_code else "other"
    if finding.state in (State.INFO, State.NOT_CONFIGURED):
        return "skipped"
    return "passed"

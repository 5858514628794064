"""Where a reader can go from a report: to the line that promised, and to the run's folder."""

from __future__ import annotations

import re

from tfy_last9.model.verdict import Finding

_COMMANDS = "check|collect|export|keep|report|traces"


def promised_in(finding: Finding) -> str:
    """Return the place that an objective comes from."""
    if finding.path:
        return f"slo/{finding.path}:{finding.line}"
    return "gate --baseline" if finding.objective.startswith("baseline") else "arms of the scenario"


def with_folder(step: str, run_id: str, folder: str) -> str:
    """Return a next step with the run's folder in place of its id, which may be a word like any other."""
    named = re.compile(rf"(tfy-last9 (?:{_COMMANDS}) ){re.escape(run_id)}(?=\s|$)")
    return named.sub(lambda found: found[1] + folder, step)

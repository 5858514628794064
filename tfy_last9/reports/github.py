"""GitHub annotations: workflow commands that point at the line of the SLO file.

GitHub shows about ten errors and ten warnings of a step and drops the rest without a word, so that
the worst come first. Syntax: docs.github.com, "Workflow commands for GitHub Actions".
"""

from __future__ import annotations

from pathlib import PurePosixPath

from tfy_last9.model.verdict import Finding, State, Verdict, group_text
from tfy_last9.reports.summary import worst_first

MOST = 10
"""Of errors, and of warnings."""
_DATA = {"%": "%25", "\r": "%0D", "\n": "%0A"}
_PROPERTY = _DATA | {":": "%3A", ",": "%2C"}


def render(verdict: Verdict, slo_root: str = "slo") -> str:
    """Return one line per annotation; `slo_root` is the SLO folder as seen from the repository."""
    failed = verdict.exit_code != 0
    errors: list[str] = []
    warnings: list[str] = []
    for finding in worst_first(verdict.findings):
        broken = failed and finding.critical and finding.state is not State.WARN
        level, lines = ("error", errors) if broken else ("warning", warnings)
        lines.append(_of_finding(level, finding, slo_root))
    if failed and not errors:
        errors = _of_run(verdict)
    chosen = [*errors[:MOST], *warnings[:MOST]]
    return "".join(f"{line}\n" for line in chosen)


def _of_finding(level: str, finding: Finding, slo_root: str) -> str:
    where = f" ({group_text(finding.group)})" if finding.group else ""
    properties = {"title": f"{finding.state} {finding.objective}{where}"}
    if finding.path:
        place = str(PurePosixPath(slo_root, finding.path))
        properties = {"file": place, "line": str(finding.line)} | properties
    return _command(level, properties, f"{finding.claim}: {finding.message}")


def _of_run(verdict: Verdict) -> list[str]:
    """Return the errors of a run that no objective is to blame for."""
    title = {"title": f"{verdict.state} {verdict.scenario}: {verdict.reason_code}"}
    others = (text for text in verdict.validity.problems if text not in verdict.reason)
    return [_command("error", title, text) for text in (verdict.reason, *others)]


def _command(level: str, properties: dict[str, str], message: str) -> str:
    named = ",".join(f"{key}={_escaped(value, _PROPERTY)}" for key, value in properties.items())
    return f"::{level} {named}::{_escaped(message, _DATA)}"


def _escaped(text: str, table: dict[str, str]) -> str:
    shown = "".join(char if char.isprintable() or char in "\r\n" else "?" for char in text)
    return "".join(table.get(char, char) for char in shown)

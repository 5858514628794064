"""JUnit XML for CI systems: one test case per objective and group, and one for the run itself.

There is no single JUnit standard. GitLab shows class name and name, and keeps only the first of two equal
ones; older versions ignore the message attribute, so that the message is the element's text as well.
"""

from __future__ import annotations

import re
from collections import Counter
from xml.etree import ElementTree as ET

from tfy_last9.model.verdict import Finding, State, Verdict, group_text

_ELEMENTS = {
    State.FAIL: "failure",
    State.INCONCLUSIVE: "failure",
    State.ERROR: "error",
    State.NO_DATA: "error",
    State.NOT_CONFIGURED: "skipped",
    State.INFO: "skipped",
}
"""PASS and WARN have no element: they passed."""
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_COUNTED = {"failure": "failures", "error": "errors", "skipped": "skipped"}


def render(verdict: Verdict) -> str:
    """Return the XML text; ends with a line break."""
    suite = ET.Element("testsuite", {"name": _clean(f"tfy-last9 {verdict.scenario}")})
    outcomes = [_run_case(suite, verdict)]
    outcomes += [_case(suite, finding, verdict) for finding in verdict.findings]
    counted = Counter(outcomes)
    totals = {"tests": str(len(outcomes))}
    totals |= {name: str(counted[element]) for element, name in _COUNTED.items()}
    suite.attrib.update(totals)
    root = ET.Element("testsuites", {"name": "tfy-last9", **totals})
    root.append(suite)
    ET.indent(root)
    text = ET.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'


def _run_case(suite: ET.Element, verdict: Verdict) -> str:
    """Add the case of the run: an error when the run, and not an objective, is the reason."""
    case = ET.SubElement(
        suite, "testcase", {"classname": "run", "name": _clean(f"{verdict.scenario} is sound")}
    )
    blamed = any(finding.state is verdict.state for finding in verdict.findings)
    if verdict.state is State.ERROR or (verdict.state is State.NO_DATA and not blamed):
        return _add(case, "error", verdict.state, f"{verdict.reason_code}: {verdict.reason}")
    ET.SubElement(case, "system-out").text = _clean(f"{verdict.state}: {verdict.reason}")
    return "passed"


def _case(suite: ET.Element, finding: Finding, verdict: Verdict) -> str:
    case = ET.SubElement(
        suite,
        "testcase",
        {
            "classname": _clean(finding.objective),
            "name": _clean(group_text(finding.group)),
        },
    )
    if finding.path:
        case.attrib |= {"file": _clean(f"slo/{finding.path}"), "line": str(finding.line)}
    weight = "" if finding.critical else " (not critical)"
    text = f"{finding.claim}{weight}: {finding.message}"
    element = _ELEMENTS.get(finding.state)
    decides = finding.critical and verdict.exit_code != 0
    if element in {"failure", "error"} and not decides:
        element = "skipped"  # exit code 0 with a red case would flip CI all the same
    if element is None:
        ET.SubElement(case, "system-out").text = _clean(f"{finding.state}: {text}")
        return "passed"
    return _add(case, element, finding.state, text)


def _add(case: ET.Element, element: str, state: State, message: str) -> str:
    clean = _clean(message)
    child = ET.SubElement(case, element, {"message": clean})
    if element != "skipped":
        child.set("type", state.value)
    child.text = f"{state}: {clean}"
    return element


def _clean(text: str) -> str:
    """Return text without the characters that XML 1.0 cannot hold."""
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)

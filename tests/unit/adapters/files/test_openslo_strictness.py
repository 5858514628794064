"""Every row in which the OpenSLO specification and `oslo validate` differ: we keep the stricter."""

from pathlib import Path

import pytest

from tfy_last9.adapters.files.openslo import load_objectives
from tfy_last9.errors import FileProblems

RATIO = """\
apiVersion: openslo/v1
kind: SLO
metadata:
  name: errors
  displayName: Errors
  labels: {team: llm}
  annotations:
    tfy-last9/critical: "true"
spec:
  description: few errors
  service: gateway
  indicator:
    metadata: {name: error-share}
    spec:
      ratioMetric:
        counter: false
        bad: {metricSource: {type: client-ledger, spec: {outcome: [timeout]}}}
        total: {metricSource: {type: client-ledger, spec: {count: started}}}
  timeWindow: [{duration: 1h, isRolling: true}]
  budgetingMethod: Occurrences
  objectives: [{displayName: few, target: 0.99}]
"""
SLI = """\
apiVersion: openslo/v1
kind: SLI
metadata: {name: slow}
spec:
  thresholdMetric: {metricSource: {type: client-ledger, spec: {field: ttft_ms}}}
"""
BY_REFERENCE = """\
apiVersion: openslo/v1
kind: SLO
metadata: {name: latency}
spec:
  service: gateway
  indicatorRef: slow
  timeWindow: [{duration: 1h, isRolling: true}]
  budgetingMethod: Occurrences
  objectives: [{op: lte, value: 10, target: 0.9}]
"""
LONG = "x" * 64

ROWS = {
    "metadata.name: RFC 1123": ("name: errors", "name: Errors_", "lower-case letters", 4),
    "metadata.name: at most 63": ("name: errors", f"name: {LONG}", "1 to 63", 4),
    "metadata.displayName: at most 63": ("displayName: Errors", f"displayName: {LONG}", "63", 5),
    "label key": ("{team: llm}", "{-team: llm}", "not a valid label key", 6),
    "label value: a list": ("{team: llm}", "{team: [a, b]}", "expected text, got a list", 6),
    "label value: a number": ("{team: llm}", "{team: 1}", "expected text, got the number 1", 6),
    "annotation: unquoted true": ('"true"', "true", 'put it in quotes: "true"', 8),
    "annotation: unquoted y": ('"true"', "off", "expected text, got false", 8),
    "annotation: upper-case prefix": ("tfy-last9/critical", "Tfy/critical", "annotation key", 8),
    "annotation: reserved prefix": ("tfy-last9/critical", "openslo.com/x", "is reserved", 8),
    "repeated key": ("  service: gateway", "  service: a\n  service: b", "is repeated", 12),
    "spec.service": ("service: gateway", "service: AI gateway", "lower-case letters", 11),
    "description: at most 1050": ("few errors", "x" * 1051, "1050", 10),
    "unknown field": ("  service:", "  owner: me\n  service:", 'unknown key "owner"', 11),
    "unknown apiVersion": ("openslo/v1", "openslo/v2", "expected apiVersion: openslo/v1", 1),
    "v2alpha by name": ("openslo/v1", "openslo.com/v2alpha", "v2alpha is not supported", 1),
    "timeWindow: required": (
        "  timeWindow: [{duration: 1h, isRolling: true}]\n",
        "",
        '"timeWindow" is missing',
        10,
    ),
    "objectives: not empty": ("[{displayName: few, target: 0.99}]", "[]", "at least 1", 21),
    "op on a ratio": ("target: 0.99", "target: 0.99, op: gt", "do not belong on a ratio", 21),
    "metricSource: type or reference": (
        "total: {metricSource: {type: client-ledger, ",
        "total: {metricSource: {",
        "needs type, or metricSourceRef",
        18,
    ),
    "duration: seconds": ("duration: 1h", "duration: 5s", "one unit of", 19),
    "duration: compound": ("duration: 1h", "duration: 1h30m", "one unit of", 19),
    "duration: zero": ("duration: 1h", "duration: 0m", "above 0", 19),
    "duration: a leading blank": ("duration: 1h", 'duration: " 1h"', "one unit of", 19),
    "duration: 1y": ("duration: 1h", "duration: 1y", "one unit of", 19),
    "timeSliceWindow: a number": (
        "Occurrences\n  objectives: [{displayName: few, ",
        "RatioTimeslices\n  objectives: [{displayName: few, timeSliceWindow: 5, ",
        'put it in quotes: "5"',
        21,
    ),
    "timeSliceWindow: 1M meant, 1m written": (
        "duration: 1h, isRolling: true}]\n  budgetingMethod: Occurrences\n  objectives: [{",
        (
            "duration: 1m, isRolling: true}]\n  budgetingMethod: RatioTimeslices\n"
            "  objectives: [{timeSliceWindow: 1m, "
        ),
        "not shorter than the window of the budget",
        10,
    ),
    "target: 1.0": ("target: 0.99", "target: 1.0", "less than 1", 21),
    "composite: one objective without its SLI": (
        "[{displayName: few, target: 0.99}]",
        "[{target: 0.99}, {target: 0.9, indicatorRef: x}]",
        "either on the SLO or on its objectives",
        10,
    ),
}


def problems(tmp_path: Path, text: str):
    (tmp_path / "slo.yaml").write_text(text)
    with pytest.raises(FileProblems) as caught:
        load_objectives(tmp_path)
    return caught.value.problems


@pytest.mark.parametrize("row", ROWS)
def test_the_stricter_rule_holds_and_names_its_place(tmp_path, row):
    old, new, message, line = ROWS[row]
    assert RATIO.count(old) == 1
    found = problems(tmp_path, RATIO.replace(old, new))
    assert message in "\n".join(map(str, found))
    assert line in {problem.line for problem in found}
    assert all(problem.column > 0 for problem in found)


def test_an_empty_file_is_an_error(tmp_path):
    (problem,) = problems(tmp_path, "---\n")
    assert "the file is empty" in problem.message


def test_two_objects_with_the_same_kind_and_name_are_an_error(tmp_path):
    (problem,) = problems(tmp_path, f"{RATIO}---\n{RATIO}")
    assert 'SLO "errors" is defined twice' in problem.message


def test_op_and_value_are_asked_for_after_resolving_the_reference(tmp_path):
    text = f"{SLI}---\n{BY_REFERENCE.replace('op: lte, value: 10, ', '')}"
    (problem,) = problems(tmp_path, text)
    assert (problem.message, problem.line) == (
        "an objective on a thresholdMetric needs op and value",
        15,
    )


def test_several_objectives_on_a_threshold_are_an_error_also_by_reference(tmp_path):
    one = "{op: lte, value: 10, target: 0.9}"
    found = problems(tmp_path, f"{SLI}---\n{BY_REFERENCE.replace(one, f'{one}, {one}')}")
    assert "a threshold SLO has one objective" in found[0].message


def test_a_composite_objective_without_its_sli_is_an_error(tmp_path):
    text = BY_REFERENCE.replace("  indicatorRef: slow\n", "").replace(
        "[{op: lte, value: 10, target: 0.9}]",
        "[{op: lte, value: 10, target: 0.9, indicatorRef: slow}, {target: 0.9}]",
    )
    found = problems(tmp_path, f"{SLI}---\n{text}")
    assert "every objective needs its own indicator" in found[0].message

import json
from dataclasses import replace

import pytest
from ctrf_schema import CTRF
from jsonschema import Draft7Validator
from report_samples import FINDING, INVALID, PASSED, UNDECIDED, VERDICT, matches_golden

from tfy_last9.model.verdict import State
from tfy_last9.reports.ctrf import RunFacts, render

FACTS = RunFacts("0.1.0", 1_795_000_000_000, 1_795_000_041_500)


def document(verdict):
    return json.loads(render(verdict, FACTS))


def by_name(verdict):
    return {test["name"]: test for test in document(verdict)["results"]["tests"]}


def test_ctrf_matches_its_golden_file():
    assert matches_golden("ctrf.json", render(VERDICT, FACTS))


@pytest.mark.parametrize("verdict", [VERDICT, PASSED, INVALID, replace(PASSED, findings=())])
def test_every_verdict_is_valid_ctrf(verdict):
    checker = Draft7Validator(CTRF, format_checker=Draft7Validator.FORMAT_CHECKER)
    assert not list(checker.iter_errors(document(verdict)))


def test_the_summary_counts_the_tests():
    results = document(VERDICT)["results"]
    summary = results["summary"]
    statuses = [test["status"] for test in results["tests"]]
    assert summary["tests"] == len(statuses) == 8
    for status in ("passed", "failed", "skipped", "pending", "other"):
        assert summary[status] == statuses.count(status)
    assert summary["failed"] == 5  # the run, FAIL, INCONCLUSIVE, NO_DATA, ERROR


@pytest.mark.parametrize(
    ("state", "critical", "code", "status"),
    [
        (State.PASS, True, 0, "passed"),
        (State.WARN, True, 0, "passed"),
        (State.FAIL, True, 20, "failed"),
        (State.INCONCLUSIVE, True, 21, "failed"),
        (State.INCONCLUSIVE, True, 0, "other"),
        (State.NO_DATA, True, 22, "failed"),
        (State.FAIL, False, 0, "other"),
        (State.INFO, True, 23, "skipped"),
        (State.NOT_CONFIGURED, True, 0, "skipped"),
    ],
)
def test_each_state_has_its_status(state, critical, code, status):
    finding = replace(FINDING, state=state, critical=critical)
    verdict = replace(PASSED, exit_code=code, findings=(finding,))
    test = by_name(verdict)["client-ttft-p95: openai"]
    assert (test["status"], test["rawStatus"]) == (status, state.value)


def test_a_run_that_proves_nothing_fails_although_no_objective_did():
    assert by_name(INVALID)["smoke: verdict"]["status"] == "failed"


def test_ids_are_stable_and_tell_groups_apart():
    """Trend tools follow a test by its id."""
    other = replace(UNDECIDED, group=(("provider", "openai"),))
    found = by_name(replace(VERDICT, findings=(UNDECIDED, other)))
    again = by_name(replace(VERDICT, findings=(other, UNDECIDED), run_id="another"))
    assert found["client-errors: openai"]["id"] == again["client-errors: openai"]["id"]
    assert len({test["id"] for test in found.values()}) == 3

from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest
from report_samples import FINDING, INVALID, PASSED, VERDICT, matches_golden

from tfy_last9.model.verdict import EXIT_CODES, State
from tfy_last9.reports.junit import render


def cases(verdict):
    root = ET.fromstring(render(verdict))
    return {(c.get("classname"), c.get("name")): c for c in root.iter("testcase")}


def test_junit_matches_its_golden_file():
    assert matches_golden("junit.xml", render(VERDICT))


@pytest.mark.parametrize(
    ("state", "element"),
    [
        (State.FAIL, "failure"),
        (State.INCONCLUSIVE, "failure"),
        (State.ERROR, "error"),
        (State.NO_DATA, "error"),
        (State.NOT_CONFIGURED, "skipped"),
        (State.INFO, "skipped"),
        (State.PASS, None),
        (State.WARN, None),
    ],
)
def test_each_state_has_its_element(state, element):
    code = EXIT_CODES[state]
    verdict = replace(PASSED, exit_code=code, findings=(replace(FINDING, state=state),))
    case = cases(verdict)["client-ttft-p95", "openai"]
    found = [child.tag for child in case if child.tag != "system-out"]
    assert found == ([] if element is None else [element])


def test_the_message_is_in_the_text_as_well():
    """Older versions of GitLab ignore the message attribute."""
    failure = cases(VERDICT)["client-ttft-p95", "anthropic"].find("failure")
    assert failure.get("message") in failure.text
    assert "98.3 % of 840 requests" in failure.text


def test_an_unsound_run_is_an_errored_case_of_its_own():
    found = cases(INVALID)
    error = found["run", "smoke is sound"].find("error")
    assert "1 of 2 workers reported" in error.text
    assert found["client-ttft-p95", "openai"].find("skipped") is not None


def test_a_run_without_expected_traces_is_an_error_although_no_finding_says_so():
    verdict = replace(PASSED, state=State.NO_DATA, exit_code=22, reason_code="no_expected_traces")
    assert cases(verdict)["run", "smoke is sound"].find("error") is not None


def test_a_finding_without_data_does_not_make_the_run_unsound():
    silent = replace(FINDING, state=State.NO_DATA)
    verdict = replace(PASSED, state=State.NO_DATA, exit_code=22, findings=(silent,))
    assert cases(verdict)["run", "smoke is sound"].find("error") is None


def test_the_totals_count_the_cases():
    root = ET.fromstring(render(VERDICT))
    totals = {name: root.get(name) for name in ("tests", "failures", "errors", "skipped")}
    assert totals == {"tests": "8", "failures": "2", "errors": "2", "skipped": "1"}
    assert root.find("testsuite").get("errors") == "2"


def test_names_are_unique():
    """GitLab keeps only the first of two cases of one name."""
    assert len(cases(VERDICT)) == 8


def test_markup_and_control_characters_in_messages_survive_as_text():
    error = cases(VERDICT)["lag", "gemini"].find("error")
    assert "no <measurement>\N{REPLACEMENT CHARACTER}" in error.text


def test_no_case_is_red_in_a_run_that_ends_with_zero():
    """`on-inconclusive: warn`: the exit code and the report must not contradict each other."""
    undecided = replace(FINDING, state=State.INCONCLUSIVE)
    verdict = replace(PASSED, state=State.WARN, findings=(undecided,))
    assert cases(verdict)["client-ttft-p95", "openai"].find("skipped") is not None

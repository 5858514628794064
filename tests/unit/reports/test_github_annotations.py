from dataclasses import replace

from report_samples import (
    FINDING,
    INVALID,
    PASSED,
    SILENT,
    SLOW,
    UNDECIDED,
    VERDICT,
    WEAK,
    matches_golden,
)

from tfy_last9.model.verdict import State
from tfy_last9.reports.github import render


def lines(verdict, **more):
    return render(verdict, **more).splitlines()


def test_annotations_match_their_golden_file():
    assert matches_golden("annotations.txt", render(VERDICT))


def test_the_worst_comes_first_and_points_at_its_line():
    first = lines(VERDICT, slo_root="ci/slo")[0]
    assert first.startswith("::error file=ci/slo/client.yaml,line=5,title=FAIL client-ttft-p95")


def test_what_is_not_critical_is_a_warning():
    found = lines(replace(VERDICT, findings=(WEAK,), state=State.WARN, exit_code=0))
    assert [line.split(" ")[0] for line in found] == ["::warning"]


def test_a_run_that_passed_has_no_error_even_with_an_undecided_objective():
    """`on-inconclusive: warn` ends with exit code 0; an error annotation would contradict it."""
    found = lines(replace(PASSED, state=State.WARN, findings=(UNDECIDED,)))
    assert [line.split(" ")[0] for line in found] == ["::warning"]


def test_a_pass_is_silent():
    assert render(PASSED) == ""


def test_an_unsound_run_is_an_error_of_its_own():
    (line,) = lines(INVALID)
    assert line.startswith("::error title=ERROR smoke%3A invalid_run::nothing can be said")


def test_problems_that_the_reason_does_not_name_follow_it():
    problems = ("1 of 2 workers reported", "generator saturated")
    verdict = replace(INVALID, validity=replace(INVALID.validity, problems=problems))
    assert lines(verdict)[1].endswith("::generator saturated")
    assert len(lines(verdict)) == 2


def test_silence_without_a_finding_to_blame_is_an_error():
    verdict = replace(PASSED, state=State.NO_DATA, exit_code=22, reason="no request must leave one")
    assert lines(verdict)[0].endswith("::no request must leave one")


def test_at_most_ten_errors_and_ten_warnings_are_written():
    many = [replace(SLOW, objective=f"slo-{i}") for i in range(30)]
    weak = [replace(WEAK, objective=f"weak-{i}") for i in range(30)]
    found = lines(replace(VERDICT, findings=(*weak, *many, SILENT)))
    assert [line.split(" ")[0] for line in found] == ["::error"] * 10 + ["::warning"] * 10


def test_text_from_outside_cannot_end_a_command_or_start_another():
    hostile = replace(
        SLOW, group=(("team", "a,b:c\n::stop-commands::x"),), message="50 %\r\n::error::no\x1b[2J"
    )
    (line,) = lines(replace(VERDICT, findings=(hostile, FINDING)))
    properties, _, message = line.removeprefix("::error ").partition("::")
    assert "a%2Cb%3Ac%0A%3A%3Astop-commands%3A%3Ax" in properties
    assert message.endswith("50 %25%0D%0A::error::no?[2J")


def test_what_no_slo_file_promised_points_at_none():
    """The comparison of two arms comes from the scenario's policy."""
    (line,) = lines(replace(VERDICT, findings=(replace(SLOW, path="", line=0),)))
    assert line.startswith("::error title=FAIL client-ttft-p95 (anthropic)::")

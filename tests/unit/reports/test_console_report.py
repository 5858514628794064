from dataclasses import replace

import pytest
from report_samples import COMMAND, FINDING, INVALID, PASSED, SLOW, VERDICT, link, matches_golden

from tfy_last9.model.verdict import State
from tfy_last9.reports.console import render


def report(verdict):
    return render(verdict, link)


def test_the_console_report_matches_its_golden_file():
    assert matches_golden("console.txt", report(VERDICT))


def test_state_and_reason_come_first():
    lines = report(VERDICT).splitlines()
    assert lines[0] == "FAIL  smoke  run 20261123-101500-ab12"
    assert lines[1].startswith("client-ttft-p95, anthropic: 98.3 % of 840 requests")


@pytest.mark.parametrize("verdict", [VERDICT, PASSED, INVALID])
def test_nothing_but_a_link_is_wider_than_80_columns(verdict):
    wide = [line for line in report(verdict).splitlines() if len(line) > 80]
    assert all("https://" in line or line.strip() == COMMAND for line in wide)


@pytest.mark.parametrize("state", list(State))
def test_every_state_fits_the_table(state):
    found = replace(FINDING, state=state, total=999_999, bad=826_000)
    row = report(replace(PASSED, findings=(found,))).splitlines()
    assert [len(line) <= 80 for line in row if line.startswith(f"  {state.value} ")] == [True]


def test_there_is_no_control_sequence_in_it():
    assert "\x1b" not in report(VERDICT)


def test_the_sums_of_both_books_add_up_on_the_page():
    text = " ".join(report(VERDICT).split())
    requests = "2,787 answered + 7 refused + 3 unanswered + 1 unsent + 2 missed"
    assert f"2,800 intended = {requests}" in text
    traces = "2,740 on time + 5 late + 44 lost + 1 with another request id"
    assert f"2,790 expected = {traces}" in text


def test_a_number_is_never_parted_from_its_unit():
    assert not [line for line in report(VERDICT).splitlines() if line.lstrip().startswith("%")]


def test_a_command_stays_in_one_piece():
    assert COMMAND in report(VERDICT)


def test_escape_sequences_in_labels_do_not_reach_the_terminal():
    """Group labels come from span attributes, which others may write."""
    hostile = replace(FINDING, group=(("team", "a\x1b[2J"),))
    text = report(replace(PASSED, findings=(hostile,)))
    assert "a?[2J" in text
    assert "\x1b" not in text


def test_a_trace_is_shown_with_its_value_and_its_link():
    lines = report(VERDICT).splitlines()
    at = lines.index("    trace 0af7651916cd43dd8448eb211c80319c  4.91 s  timeout")
    assert lines[at + 1].strip() == link(SLOW.exemplars[0])
    assert lines[at + 2] == "    request r1.6  missing"


def test_problems_of_the_run_are_listed_before_the_table():
    lines = report(INVALID).splitlines()
    assert lines.index("invalid   1 of 2 workers reported") < 5


def test_a_pass_explains_nothing_it_need_not():
    assert "slo/client.yaml" not in report(PASSED)


def test_a_finding_points_at_its_line():
    assert "(slo/client.yaml:51)" in report(VERDICT)


def test_many_findings_are_counted_and_not_all_explained():
    many = tuple(replace(SLOW, objective=f"slo-{i}", exemplars=()) for i in range(12))
    text = report(replace(VERDICT, findings=many))
    assert "... and 4 more in the table and in verdict.json" in text


def test_silence_is_written_out():
    silent = replace(FINDING, state=State.NO_DATA, total=0, bad=0, quantile=None)
    text = report(replace(PASSED, findings=(silent,)))
    assert (
        "  NO_DATA        openai        nothing                         -    5 %        0" in text
    )


def test_an_unknown_lag_is_called_unknown_and_not_zero():
    books = replace(VERDICT.accounting, lag=None, lag_p50_s=None, lag_max_s=None)
    assert "lag       unknown" in report(replace(VERDICT, accounting=books))


def test_a_run_without_objectives_or_traces_can_still_be_shown():
    books = replace(VERDICT.accounting, expected_traces=0)
    facts = replace(VERDICT.validity, start_lag_p99_ms=None, hub_lag_p99_ms=None)
    text = report(replace(INVALID, findings=(), accounting=books, validity=facts))
    assert "traces    nothing to compare with Last9" in text
    assert "budget" not in text


def test_traces_that_are_a_sample_are_called_so():
    sampled = replace(PASSED.accounting, strategy="counts", population=1_000_000)
    text = " ".join(report(replace(PASSED, accounting=sampled)).split())
    assert "a random sample of 1,000,000: " in text

from dataclasses import replace

from report_samples import COMMAND, FINDING, INVALID, PASSED, SLOW, VERDICT, link, matches_golden

from tfy_last9.reports.summary import LIMIT_BYTES, render


def summary(verdict, **more):
    return render(verdict, link, **more)


def test_the_summary_matches_its_golden_file():
    assert matches_golden("summary.md", summary(VERDICT))


def test_state_and_reason_come_first():
    lines = summary(VERDICT).splitlines()
    assert lines[0] == "## FAIL: smoke"
    assert lines[2].startswith("**client-ttft-p95, anthropic: 98.3 % of 840 requests")


def test_why_nothing_can_be_said_is_listed_before_the_numbers():
    text = summary(INVALID)
    assert text.index("- 1 of 2 workers reported") < text.index("### Objectives")


def test_a_pass_explains_nothing_it_need_not():
    assert "### Not passed" not in summary(PASSED)


def test_a_trace_is_a_link_and_a_request_is_a_name():
    lines = summary(VERDICT).splitlines()
    trace = "0af7651916cd43dd8448eb211c80319c"
    assert f"  - [trace `{trace}`]({link(SLOW.exemplars[0])}) 4.91 s timeout" in lines
    assert "  - request `r1.6` missing" in lines


def test_the_next_command_can_be_copied():
    command = COMMAND.replace(VERDICT.run_id, f"runs/{VERDICT.run_id}")
    assert f"- see the worst ones: `{command}`" in summary(VERDICT).splitlines()


def test_a_huge_verdict_stays_below_the_limit_and_says_what_is_missing():
    """GitHub drops a step summary above 1 MiB whole, and refuses a longer comment."""
    many = tuple(
        replace(SLOW, group=(("team", "\N{SNOWMAN}" * 50 + str(i)),)) for i in range(20_000)
    )
    text = summary(replace(VERDICT, findings=many))
    assert len(text.encode()) <= LIMIT_BYTES < 65_536
    assert text.startswith("## FAIL: smoke")
    assert text.rstrip().endswith("more lines are left out; verdict.json holds everything.")


def test_one_endless_message_does_not_crowd_out_the_rest():
    endless = replace(SLOW, message="x" * 1_000_000, exemplars=())
    text = summary(replace(VERDICT, reason="y" * 1_000_000, findings=(endless,)))
    assert len(text.encode()) <= LIMIT_BYTES
    assert "### Books" in text


def test_markup_and_mentions_from_spans_are_shown_and_not_obeyed():
    hostile = replace(FINDING, group=(("team", "<img src=x>|@all [a](b)\n# no\x1b"),))
    text = summary(replace(PASSED, findings=(hostile,)))
    row = next(line for line in text.splitlines() if "img" in line)
    assert row.count("|") == 8
    for mark in ("<img", "@all", "[a]", "\x1b", "# no"):
        assert mark not in text

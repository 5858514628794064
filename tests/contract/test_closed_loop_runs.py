"""Closed-loop users end to end: never more requests at once than users, and every report says what they are."""

import gating
import pytest

USERS = 12
SCENARIO = f"""
name: loop
seed: 8
targets:
  - {{name: openai, model: openai-main/gpt-4o-mini, provider: openai, weight: 1, max_tokens: 8}}
  - {{name: anthropic, model: anthropic-main/claude-sonnet-4-6, provider: anthropic, weight: 1, max_tokens: 8}}
arrivals: {{kind: closed, users: {USERS}, think: 50ms}}
phases: [{{name: warm-up, duration: 500ms, judged: false}}, {{name: steady, duration: 3s}}]
prompts: ["Why is the sky blue?"]
limits: {{first_token: 8s, idle: 5s, total: 15s}}
"""
LABEL = f"loop (closed loop, {USERS} users)"


@pytest.fixture(scope="module")
def loop(production, tmp_path_factory):
    folder = tmp_path_factory.mktemp("loop")
    (folder / "loop.yaml").write_text(SCENARIO)
    ended = gating.run(
        *("gate", "loop.yaml", "--slo", gating.SLO / "client.yaml", "--client-only"),
        *("--out", folder / "runs"),
        cwd=folder,
        **production.settings,
    )
    return gating.Outcome(ended.returncode, ended.stdout, ended.stderr, folder / "runs")


@pytest.fixture(scope="module")
def served(production, loop):
    return production.lines(loop.folder.name)


def test_every_report_says_that_the_loop_is_closed(loop):
    assert loop.verdict["scenario"] == LABEL
    assert LABEL in loop.out
    for name in ("summary.md", "report.html", "junit.xml", "ctrf.json", "metrics.txt"):
        assert LABEL in (loop.folder / name).read_text(), name


def test_the_ledger_holds_what_the_gateway_served_and_nothing_is_missed(loop, served):
    rows = loop.ledger("request_id", "written")
    assert {row[0] for row in rows} == {line["request_id"] for line in served}
    assert len(rows) == len(served)
    assert loop.ledger("count(*)", "outcome = 'missed'") == [(0,)]
    assert loop.verdict["accounting"]["intended"] == len(served)


def test_there_are_never_more_requests_at_once_than_users_and_mostly_as_many(served):
    began = [(line["received_mono_ns"], 1) for line in served]
    ended = [(line["finished_mono_ns"], -1) for line in served]
    at_once = [0]
    for _, change in sorted(began + ended):
        at_once.append(at_once[-1] + change)
    assert USERS // 2 < max(at_once) <= USERS


def test_no_request_starts_before_it_is_due_and_the_mix_is_exact(loop):
    late = loop.ledger("count(*)", "started_ns < due_ns")
    assert late == [(0,)]
    per_target = dict(loop.ledger("target, count(*)", "true GROUP BY target"))
    assert abs(per_target["openai"] - per_target["anthropic"]) <= 1, "the mix is exact here, too"

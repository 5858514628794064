"""A budget ends the load before it can cost more, whatever answers report, and the verdict says so."""

import json

import pytest
from gating import ROOT, gate, run

pytestmark = [pytest.mark.contract, pytest.mark.xdist_group("early_stop")]
BUDGET_USD = 0.0025


@pytest.fixture(scope="module")
def braked(tmp_path_factory):
    """A run over two workers whose budget pays for part of the schedule."""
    scenario = ROOT / "tests" / "data" / "budget.yaml"
    return gate(tmp_path_factory.mktemp("budget"), "--processes", "2", scenario=scenario)


def test_what_the_sandbox_charged_stays_within_the_budget(braked):
    """By what providers sent, preflight included: the journal's bill, not ours. One chunk is one token."""
    lines = (braked.folder / "sandbox" / "journal.ndjson").read_text().splitlines()
    answers = [event for event in map(json.loads, lines) if event["event"] == "answer"]
    read = braked.ledger("max(input_tokens)")[0][0]
    bill = sum(read * 0.15e-6 + answer["chunks"] * 0.6e-6 for answer in answers)
    assert len(answers) == braked.ledger("count(*)")[0][0] + 1
    assert 0.5 * BUDGET_USD < bill <= BUDGET_USD


def test_the_run_ended_cleanly_and_everything_adds_up(braked):
    assert braked.manifest["ended"] == "stopped"
    assert braked.ledger("count(*)", "outcome = 'aborted'") == [(0,)]
    counters, spending = braked.manifest["counters"], braked.manifest["spending"]
    assert counters["unreported"] == 0
    assert counters["offered"] == braked.ledger("count(*)")[0][0] < 300
    assert spending["usd"] == pytest.approx(braked.ledger("sum(cost_usd)")[0][0])
    assert spending["is_spent"]


def test_the_verdict_says_what_ended_the_run(braked):
    message = braked.manifest["early_stop"]["message"]
    assert message.startswith("stopped by the budget: of 0.0025 USD")
    assert message in braked.verdict["validity"]["warnings"]
    assert (braked.code, braked.verdict["state"]) == (21, "INCONCLUSIVE"), braked.out + braked.err
    assert braked.verdict["reason_code"] == "budget_spent"
    assert "preflight: at worst 0.00" in braked.err


def test_a_budget_that_pays_for_nothing_is_refused_before_any_load(tmp_path):
    scenario = ROOT / "tests" / "data" / "budget.yaml"
    slo = ROOT / "tests" / "data" / "slo"
    ended = run(
        *("gate", scenario, "--slo", slo, "--sandbox", "--budget-usd", "0.000001"), cwd=tmp_path
    )
    assert ended.returncode == 24
    assert "cannot pay for the preflight and one request per target" in ended.stderr

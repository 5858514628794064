"""The load ends as soon as a failure is proven, by traces alone or by two arms, and says what was saved."""

import re

import pytest
from gating import ROOT, gate, run

pytestmark = [pytest.mark.contract, pytest.mark.xdist_group("early_stop")]


@pytest.fixture(scope="module")
def broken(tmp_path_factory):
    """A primary that is down behind a healthy standby: no client ever sees an error."""
    return gate(
        tmp_path_factory.mktemp("early"),
        *("--slo", ROOT / "tests" / "data" / "rehearsal", "--fault", "provider_down:openai"),
        scenario=ROOT / "tests" / "data" / "early.yaml",
    )


def test_a_failure_that_only_last9_shows_ends_the_load_before_its_schedule(broken):
    assert broken.code == 20, broken.out + broken.err
    assert broken.ledger("count(*)", "outcome <> 'ok'") == [(0,)]
    stop = broken.manifest["early_stop"]
    assert stop["requests_saved"] > 0
    assert stop["tokens_saved"] > 0
    assert "provider-errors, openai is proven to fail" in stop["message"]
    assert stop["proven"][0]["objective"] == "provider-errors"
    assert any("proven while the load ran" in one["message"] for one in broken.verdict["findings"])
    assert stop["message"] in broken.verdict["validity"]["warnings"]


def test_what_was_in_flight_was_waited_for(broken):
    """Ending on our own account must not turn answers into errors."""
    assert broken.ledger("count(*)", "outcome = 'aborted'") == [(0,)]


def test_the_verdict_of_a_stopped_run_is_decided_again_to_the_same_bytes(broken):
    before = (broken.folder / "verdict.json").read_bytes()
    assert run("check", broken.folder, cwd=broken.runs).returncode == 20
    assert (broken.folder / "verdict.json").read_bytes() == before


@pytest.fixture(scope="module")
def slow_canary(tmp_path_factory):
    """A canary that is far slower, in a schedule of a minute."""
    return gate(
        tmp_path_factory.mktemp("canary"),
        *("--client-only", "--fault", "provider_latency:openai-canary=250ms"),
        scenario=ROOT / "tests" / "data" / "canary-early.yaml",
    )


def test_a_canary_that_is_proven_slower_ends_the_load(slow_canary):
    assert slow_canary.code == 20, slow_canary.out + slow_canary.err
    stop = slow_canary.manifest["early_stop"]
    assert {one["objective"] for one in stop["proven"]} <= {"canary-ttft", "canary-total"}
    assert slow_canary.states("canary-ttft") == {"openai": "FAIL"}
    assert slow_canary.verdict["reason"].startswith("canary-ttft, openai: +")
    assert "proven while the load ran" in slow_canary.verdict["reason"]


def test_the_tokens_that_were_not_spent_are_printed(slow_canary):
    told = re.search(r"stopped early: .*; about ([\d,]+) tokens were not spent", slow_canary.err)
    assert told is not None, slow_canary.err
    saved = int(told[1].replace(",", ""))
    assert saved == slow_canary.manifest["early_stop"]["tokens_saved"]
    sent, spent = slow_canary.ledger("count(*), sum(input_tokens + output_tokens)")[0]
    unsent = slow_canary.manifest["early_stop"]["requests_saved"]
    assert saved == pytest.approx(unsent * spent / sent, rel=0.1)


def test_arrivals_really_ended_before_the_schedule(slow_canary):
    """What the gateway saw, and not what the client says it did."""
    run_id = slow_canary.manifest["run_id"]
    seen = {one["request_id"] for one in slow_canary.events("request") if one["run_id"] == run_id}
    assert seen == {one for (one,) in slow_canary.ledger("request_id")}
    planned = int(re.search(r" of ([\d,]+) requests", slow_canary.err)[1].replace(",", ""))
    assert len(seen) < planned / 2


def test_both_arms_were_stopped_at_the_same_pair(slow_canary):
    arms = slow_canary.ledger("count(DISTINCT arm)", "true GROUP BY seq // 2")
    assert set(arms) == {(2,)}

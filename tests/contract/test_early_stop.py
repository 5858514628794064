"""The load ends as soon as a failure is proven, here by traces alone, and says what was saved."""

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

"""The load ends as soon as a failure is proven, and says what was saved."""

import pytest
from gating import ROOT, gate, run

pytestmark = [pytest.mark.contract, pytest.mark.xdist_group("early_stop")]


@pytest.fixture(scope="module")
def broken(tmp_path_factory):
    """A run in which half of all requests meet an error."""
    return gate(
        tmp_path_factory.mktemp("early"),
        *("--fault", "provider_errors:openai=0.5"),
        scenario=ROOT / "tests" / "data" / "early.yaml",
    )


def test_a_proven_failure_ends_the_load_long_before_its_schedule(broken):
    assert broken.code == 20, broken.out + broken.err
    stop = broken.manifest["early_stop"]
    assert stop["requests_saved"] > 0.5 * 60 * 40
    assert stop["tokens_saved"] > 0
    assert "is proven to fail" in stop["message"]
    assert any("proven while the load ran" in one["message"] for one in broken.verdict["findings"])
    assert stop["message"] in broken.verdict["validity"]["warnings"]


def test_what_was_in_flight_was_waited_for(broken):
    """Ending on our own account must not turn answers into errors."""
    assert broken.ledger("count(*)", "outcome = 'aborted'") == [(0,)]


def test_the_verdict_of_a_stopped_run_is_decided_again_to_the_same_bytes(broken):
    before = (broken.folder / "verdict.json").read_bytes()
    assert run("check", broken.folder, cwd=broken.runs).returncode == 20
    assert (broken.folder / "verdict.json").read_bytes() == before

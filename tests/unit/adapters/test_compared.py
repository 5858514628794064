"""The baseline of a run: found before load, copied into the run, refused where it would mislead."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tfy_last9.adapters.compared import found_baseline, wanted_by
from tfy_last9.adapters.files.scenario import load_scenario
from tfy_last9.adapters.opening import RunRequest, open_run
from tfy_last9.errors import BrokenRun, ConfigurationError

DATA = Path(__file__).parents[2] / "data"
DAY_NS = 86_400_000_000_000
SCENARIO = load_scenario(DATA / "short.yaml")
WANTED = wanted_by(SCENARIO, sandbox=False, client_only=False)


@pytest.fixture
def run(tmp_path):
    def make(name, day=1, state="PASS", seed=SCENARIO.seed):
        request = RunRequest(
            *(replace(SCENARIO, seed=seed), DATA / "slo", tmp_path / "runs", "http://h", 1),
            run_id=name,
        )
        folder, _ = open_run(request, day * DAY_NS)
        folder.verdict_path.write_text(json.dumps({"state": state}))
        folder.ledger_path.write_bytes(name.encode())
        return folder

    return make


def search(asked, place, scenario=SCENARIO):
    return found_baseline(asked, str(place), scenario, WANTED, lambda _: None)


def test_nobody_asked_nothing_is_looked_for(tmp_path):
    with search(None, tmp_path / "none") as found:
        assert found is None


def test_what_is_found_is_copied_into_the_run(run, tmp_path):
    run("yesterday", 1)
    new = run("today", 2, state="FAIL")
    with search("latest-pass", tmp_path / "runs") as found:
        found.attach(new)
    assert new.read_manifest().baseline.run_id == "yesterday"
    assert new.baseline.ledger_path.read_bytes() == b"yesterday"
    assert new.baseline.read_manifest().run_id == "yesterday"


def test_none_is_a_fact_of_the_run_and_no_reason_to_send_nothing(run, tmp_path):
    new = run("today", state="FAIL")
    with search("latest-pass", tmp_path / "runs") as found:
        found.attach(new)
    facts = new.read_manifest().baseline
    assert facts.run_id is None
    assert facts.why.startswith("no baseline in")
    assert not new.baseline.path.exists()


def test_a_run_can_be_named(run, tmp_path):
    run("pinned", 1)
    run("newer", 2)
    with search(str(tmp_path / "runs" / "pinned"), tmp_path) as found:
        assert found.facts.run_id == "pinned"


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"seed": 99}, "differ in more than their limits"), ({"state": "FAIL"}, "did not pass")],
)
def test_a_named_run_that_proves_nothing_is_refused_before_load(run, tmp_path, changes, said):
    run("pinned", **changes)
    with (
        pytest.raises(ConfigurationError, match=said),
        search(str(tmp_path / "runs" / "pinned"), tmp_path),
    ):
        pass


def test_a_named_run_that_is_not_there_is_an_error_and_not_an_absent_baseline(run, tmp_path):
    run("pinned")
    with (
        pytest.raises(BrokenRun) as caught,
        search(str(tmp_path / "runs" / "pined"), tmp_path),
    ):
        pass
    assert "did you mean" in caught.value.hint


def test_a_scenario_with_arms_brings_its_own(tmp_path):
    arms = load_scenario(DATA / "canary.yaml")
    with (
        pytest.raises(ConfigurationError, match="does not fit a scenario with arms"),
        search("latest-pass", tmp_path, arms),
    ):
        pass

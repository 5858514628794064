import json
from dataclasses import replace
from pathlib import Path

import pytest

from tfy_last9.adapters.baselines import NoBaseline, Wanted, is_baseline, latest_pass
from tfy_last9.adapters.files.scenario import load_scenario
from tfy_last9.adapters.opening import RunRequest, open_run

DATA = Path(__file__).parents[2] / "data"


@pytest.fixture
def run(tmp_path):
    """Make a run folder with a verdict of the given state."""
    scenario = load_scenario(DATA / "short.yaml")

    def make(name, day, state="PASS", seed=1, **more):
        request = RunRequest(
            replace(scenario, seed=seed), DATA / "slo", tmp_path, "http://h", 1, run_id=name, **more
        )
        folder, _ = open_run(request, day * 86_400_000_000_000)
        if state is not None:
            folder.verdict_path.write_text(json.dumps({"state": state}))
        return folder

    return make


def by(folder):
    return Wanted.by(folder.read_manifest())


def test_the_newest_passing_run_of_the_same_traffic_is_found(run, tmp_path):
    run("z-old", 1)
    expected = run("a-new", 2)
    run("failed", 3, "FAIL")
    run("warned", 4, "WARN")
    run("other-seed", 5, seed=2)
    run("sandbox", 6, sandbox=True)
    run("ledger-only", 7, client_only=True)
    run("unjudged", 8, None)
    canary = run("canary", 9)
    assert latest_pass(tmp_path, by(canary)) == expected


def test_limits_alone_do_not_make_runs_incomparable(run, tmp_path):
    """They bound the generator and not the traffic."""
    expected = run("old", 1)
    canary = run("canary", 2)
    manifest = canary.read_manifest()
    limits = replace(manifest.scenario.limits, users=7)
    canary.write_manifest(replace(manifest, scenario=replace(manifest.scenario, limits=limits)))
    assert latest_pass(tmp_path, by(canary)) == expected


def test_a_broken_folder_does_not_hide_the_others(run, tmp_path):
    expected = run("old", 1)
    run("broken", 3).manifest_path.write_text("{")
    run("torn", 4).verdict_path.write_text("[")
    assert latest_pass(tmp_path, by(run("canary", 5))) == expected


def test_a_run_is_not_its_own_baseline(run, tmp_path):
    with pytest.raises(NoBaseline, match=r"of 0 other run\(s\)"):
        latest_pass(tmp_path, by(run("canary", 1)))


def test_what_was_there_instead_is_said(run, tmp_path):
    run("other-seed", 1, seed=2)
    run("failed", 2, "FAIL")
    with pytest.raises(NoBaseline, match="1 passed and 1 had the same scenario"):
        latest_pass(tmp_path, by(run("canary", 3)))


def test_a_folder_that_is_not_there_is_named(run, tmp_path):
    with pytest.raises(NoBaseline, match="there is no folder"):
        latest_pass(tmp_path / "none", by(run("canary", 1)))


RELATIVE = {"objective": "baseline", "state": "NO_DATA"}
OWN = {"objective": "client-errors", "state": "PASS"}


@pytest.mark.parametrize(
    ("state", "reason_code", "findings", "expected"),
    [
        ("NO_DATA", "no_data", [OWN, RELATIVE], True),
        ("WARN", "passed_with_warnings", [OWN, RELATIVE], True),
        ("NO_DATA", "no_data", [OWN | {"state": "NO_DATA"}, RELATIVE], False),
        ("NO_DATA", "no_data", [OWN | {"state": "WARN"}, RELATIVE], False),
        ("NO_DATA", "no_expected_traces", [OWN, RELATIVE], False),
        ("NO_DATA", "uncovered", [OWN, RELATIVE], False),
        ("FAIL", "objective_failed", [OWN, RELATIVE | {"state": "FAIL"}], False),
        ("NO_DATA", "no_data", [], False),
        ("WARN", "passed_with_warnings", [OWN | {"state": "WARN"}], False),
    ],
)
def test_a_run_that_lacked_only_a_baseline_is_the_first_one(
    run, state, reason_code, findings, expected
):
    """Else a gate that asks for a baseline could never get one."""
    folder = run("first", 1, None)
    document = {"state": state, "reason_code": reason_code, "findings": findings}
    folder.verdict_path.write_text(json.dumps(document))
    assert is_baseline(folder) is expected

"""The run that `compare` names, and what `keep` refuses."""

import json
from pathlib import Path

import pytest

from tfy_last9.adapters.files.scenario import load_scenario
from tfy_last9.adapters.opening import RunRequest, open_run
from tfy_last9.cli.baseline import keep_run, stored_run
from tfy_last9.errors import ConfigurationError

DATA = Path(__file__).parents[2] / "data"
DAY_NS = 86_400_000_000_000
SCENARIO = load_scenario(DATA / "short.yaml")


@pytest.fixture
def run(tmp_path):
    def make(name, day=1, state="PASS"):
        asked = (SCENARIO, DATA / "slo", tmp_path / "runs", "http://h", 1)
        folder, _ = open_run(RunRequest(*asked, run_id=name), day * DAY_NS)
        folder.verdict_path.write_text(json.dumps({"state": state}))
        folder.ledger_path.write_bytes(name.encode())
        return folder

    return make


def test_compare_looks_beside_the_canary_unless_told_where(run, tmp_path):
    run("old", 1)
    canary = run("canary", 2)
    with stored_run("latest-pass", None, canary) as found:
        assert found.read_manifest().run_id == "old"
    with stored_run(str(tmp_path / "runs" / "old"), None, canary) as found:
        assert found.read_manifest().run_id == "old"


def test_a_run_that_did_not_pass_is_not_kept(run, tmp_path):
    with pytest.raises(ConfigurationError, match="did not pass"):
        keep_run(run("bad", state="FAIL").path, str(tmp_path / "kept"))
    assert not (tmp_path / "kept").exists()

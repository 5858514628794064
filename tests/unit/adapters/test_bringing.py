"""A baseline that is found by a child, for processes in which storage libraries cannot run."""

import json
from pathlib import Path

import pytest

from tfy_last9.adapters.bringing import brought, is_far
from tfy_last9.adapters.files.scenario import load_scenario
from tfy_last9.adapters.opening import RunRequest, open_run
from tfy_last9.errors import BackendUnavailable, ConfigurationError

SHORT = Path(__file__).parents[2] / "data" / "short.yaml"


@pytest.fixture
def kept(tmp_path):
    asked = (load_scenario(SHORT), SHORT.parent / "slo", tmp_path / "kept", "http://h", 1)
    folder, _ = open_run(RunRequest(*asked, run_id="good"), 1)
    folder.verdict_path.write_text(json.dumps({"state": "PASS"}))
    folder.ledger_path.write_bytes(b"rows")
    into = tmp_path / "into"
    into.mkdir()
    return folder, into, f"file://{tmp_path / 'kept'}"


def test_only_addresses_are_far():
    assert is_far("s3://bucket/runs/x", "runs")
    assert is_far("latest-pass", "s3://bucket/runs")
    assert not is_far("latest-pass", "runs")


def test_what_the_child_finds_is_copied_here(kept):
    folder, into, place = kept
    found = brought(SHORT, "latest-pass", place, into)
    assert found.facts.run_id == folder.read_manifest().run_id == "good"
    assert found.run.ledger_path.read_bytes() == b"rows"


def test_nothing_found_is_told_with_its_reason(kept):
    folder, into, place = kept
    folder.verdict_path.write_text(json.dumps({"state": "FAIL"}))
    found = brought(SHORT, "latest-pass", place, into)
    assert found.run is None
    assert "0 passed" in found.facts.why


def test_what_is_wrong_is_raised_here(kept):
    folder, into, place = kept
    folder.verdict_path.write_text(json.dumps({"state": "FAIL"}))
    with pytest.raises(ConfigurationError, match="did not pass"):
        brought(SHORT, f"{place}/good", place, into)
    with pytest.raises(ConfigurationError, match="Protocol not known"):
        brought(SHORT, "latest-pass", "nowhere://x", into)


def test_a_child_that_says_nothing_is_told_with_its_last_words(kept, monkeypatch):
    _, into, place = kept
    monkeypatch.setattr("sys.executable", "/bin/false")
    with pytest.raises(BackendUnavailable, match="exit code 1"):
        brought(SHORT, "latest-pass", place, into)

"""Baseline against canary through the whole main job, with one canary made slow."""

import json
import shutil

import pytest
from gating import ROOT, gate, run

pytestmark = [pytest.mark.contract, pytest.mark.xdist_group("canary_gate")]
SCENARIO = ROOT / "tests" / "data" / "canary.yaml"


@pytest.fixture(scope="module")
def slow(tmp_path_factory):
    """A run whose canary is 200 ms slower at one provider of two."""
    return gate(
        tmp_path_factory.mktemp("canary"),
        *("--fault", "provider_latency:openai-canary=200ms"),
        scenario=SCENARIO,
    )


def test_the_slow_canary_fails_and_is_named_first(slow):
    assert slow.code == 20, slow.out + slow.err
    assert slow.verdict["reason"].startswith("canary-ttft, openai: +")
    assert slow.states("canary-ttft")["openai"] == "FAIL"
    assert slow.states("canary-ttft")["gemini"] != "FAIL"


def test_every_arrival_went_to_both_arms_at_the_same_instant(slow):
    counts = dict(slow.ledger("arm, count(*)", "true GROUP BY arm"))
    assert set(counts) == {"baseline", "canary"}
    assert counts["baseline"] == counts["canary"]
    due = slow.ledger("seq // 2, count(DISTINCT due_ns), count(DISTINCT arm)", "true GROUP BY 1")
    assert {(instants, arms) for _, instants, arms in due} == {(1, 2)}


def test_the_arms_asked_for_different_accounts(slow):
    asked = set(slow.ledger("DISTINCT arm, split_part(model, '/', 1)"))
    assert asked == {
        ("baseline", "openai-main"),
        ("baseline", "gemini-main"),
        ("canary", "openai-canary"),
        ("canary", "gemini-canary"),
    }


def test_findings_of_the_arms_are_test_cases_too(slow):
    junit = (slow.folder / "junit.xml").read_text()
    assert 'classname="canary-ttft" name="openai"' in junit


def test_a_run_compared_with_its_copy_shows_no_difference(slow, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(slow.folder, copy)
    manifest = json.loads((copy / "run.json").read_text()) | {"run_id": "copy"}
    (copy / "run.json").write_text(json.dumps(manifest))
    ended = run("compare", slow.folder, copy, "--json", cwd=tmp_path)
    found = json.loads(ended.stdout)
    typical = [one for one in found["findings"] if one["objective"] == "canary-total"]
    assert [one["measured"] for one in typical] == ["+0 % [+0, +0]"] * 2
    assert {one["state"] for one in typical} == {"PASS"}


def test_runs_of_different_scenarios_are_refused(slow, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(slow.folder, other)
    manifest = json.loads((other / "run.json").read_text()) | {"run_id": "other"}
    manifest["digests"]["comparability"] = "0" * 64
    (other / "run.json").write_text(json.dumps(manifest))
    ended = run("compare", slow.folder, other, cwd=tmp_path)
    assert ended.returncode == 24
    assert "not comparable" in ended.stderr

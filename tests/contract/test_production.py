"""`check --last` against the Last9 stand-in: live traces, and whom last week lets expect."""

import json
import time

import pytest
from gating import run
from test_last9_client import Gateway, S, ended, started

pytestmark = [pytest.mark.contract, pytest.mark.xdist_group("production")]
SLO = """\
apiVersion: openslo/v1
kind: SLO
metadata: {name: provider-errors}
spec:
  service: ai-gateway
  indicator:
    metadata: {name: provider-errors}
    spec:
      ratioMetric:
        counter: false
        bad: {metricSource: {type: last9, spec: {span: model, status: error}}}
        total: {metricSource: {type: last9, spec: {span: model, groupBy: [provider]}}}
  timeWindow: [{duration: 30d, isRolling: true}]
  budgetingMethod: Occurrences
  objectives: [{target: 0.9}]
"""
WEEK_S = 7 * 86_400


@pytest.fixture(scope="module")
def looked(tmp_path_factory):
    """Ten minutes of anthropic; a week before openai answered too, and failed over once."""
    place = tmp_path_factory.mktemp("production")
    (place / "slo.yaml").write_text(SLO)
    stand_in = started(place)
    try:
        gateway = Gateway(stand_in)
        now_s = time.time_ns() // S
        for n in range(60):
            gateway.chat("live", f"now.{n}", (now_s - 400 + n) * S)
            gateway.chat("live", f"then.{n}", (now_s - WEEK_S - 400 + n) * S, failed_first=True)
        gateway.close()
        return run(
            *("check", "--last", "10m", "--slo", place / "slo.yaml", "--out", place / "runs"),
            cwd=place,
            LAST9_REFRESH_TOKEN=stand_in.ready["refresh_token"],
            LAST9_API_URL=stand_in.url,
        ), place
    finally:
        ended(stand_in)


def test_who_answered_last_week_and_is_silent_now_is_named(looked):
    """Nobody wrote down whom to expect: the same window a week ago did."""
    answer, _ = looked
    assert answer.returncode == 22, answer.stdout + answer.stderr
    assert "provider-errors, openai" in answer.stdout.split("\n\n")[0]
    assert "a week ago: anthropic 60, openai 60" in " ".join(answer.stdout.split())


def test_a_look_at_production_is_decided_again_offline(looked):
    answer, place = looked
    (folder,) = (place / "runs").iterdir()
    before = (folder / "verdict.json").read_bytes()
    assert run("check", folder, cwd=place).returncode == answer.returncode
    assert (folder / "verdict.json").read_bytes() == before
    states = {one["group"]["provider"]: one["state"] for one in json.loads(before)["findings"]}
    assert states == {"anthropic": "PASS", "openai": "NO_DATA"}

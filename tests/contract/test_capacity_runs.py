"""`gate --find-capacity` against a provider that serves so many at once: the answer, held against the journal."""

import json

import pytest
from typer.testing import CliRunner

from tfy_last9.cli.main import app
from tfy_last9.judge import capacity

PLACES = 16
"""An answer takes 0.3 s, so some 53 a second."""
LIMIT_MS = 700
BUDGET = 0.1
SECONDS = 2
SCENARIO = f"""
name: narrow
seed: 5
targets: [{{name: openai, model: openai-main/gpt-4o-mini, provider: openai, max_tokens: 6}}]
arrivals: {{kind: constant, rate: 40/s}}
phases: [{{name: steady, duration: {SECONDS}s}}]
prompts: ["Why is the sky blue?"]
limits: {{users: 150, first_token: 8s, idle: 5s, total: 15s}}
"""
OBJECTIVE = f"""
apiVersion: openslo/v1
kind: SLO
metadata:
  name: client-ttft
  annotations: {{tfy-last9/critical: "true", tfy-last9/confidence: "0.95"}}
spec:
  service: ai-gateway
  indicator:
    metadata: {{name: client-ttft}}
    spec:
      thresholdMetric:
        metricSource: {{metricSourceRef: client-ledger, type: client-ledger, spec: {{field: ttft_ms}}}}
  timeWindow: [{{duration: 1h, isRolling: true}}]
  budgetingMethod: Occurrences
  objectives: [{{displayName: soon, op: lte, value: {LIMIT_MS}, target: {1 - BUDGET}}}]
"""


@pytest.fixture
def narrow(production):
    """The sandbox, with one provider that answers few at once."""
    production.set_faults(f"provider_capacity:openai={PLACES}")
    yield production
    production.set_faults()


def slow_share(lines):
    """Return how many were not begun within the limit, by the gateway's own instants."""
    waits_ms = [(one["first_sent_mono_ns"] - one["received_mono_ns"]) / 1e6 for one in lines]
    return sum(wait_ms > LIMIT_MS for wait_ms in waits_ms) / len(waits_ms)


def test_the_interval_is_where_the_journal_begins_to_be_slow(narrow, tmp_path, monkeypatch):
    """The search itself is tested beside `judge/capacity.py`; here its first two steps do."""
    monkeypatch.setattr(capacity, "RESOLUTION", 2.0)
    monkeypatch.chdir(tmp_path)
    for name, value in narrow.settings.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "narrow.yaml").write_text(SCENARIO)
    (tmp_path / "slo.yaml").write_text(OBJECTIVE)
    arguments = ["gate", "narrow.yaml", "--slo", "slo.yaml", "--client-only", "--out", "runs"]
    arguments += ["--find-capacity", "--allow-spend", "--max-rate", "80/s", "--json"]
    ended = CliRunner().invoke(app, arguments)
    assert ended.exit_code == 0, ended.output
    told = json.loads(ended.stdout)
    found, steps = told["capacity"], {step["rate_per_s"]: step for step in told["steps"]}
    assert found["limited_by"] == "broke", told
    assert found["reason"] == "client-ttft failed"
    met, unmet = steps[found["met_per_s"]], steps[found["unmet_per_s"]]
    assert slow_share(narrow.lines(met["run_id"])) <= BUDGET
    assert slow_share(narrow.lines(unmet["run_id"])) > BUDGET
    for rate, step in steps.items():  # each rate that is named was really sent
        assert abs(len(narrow.lines(step["run_id"])) - rate * SECONDS) <= 1

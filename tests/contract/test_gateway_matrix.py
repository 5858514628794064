"""The checker says the same whatever TrueFoundry's public pages leave open about exported traces.

Three worlds, between which the switches that change the trace of an ordinary request leave their defaults;
in one of them the exporter loses spans. What happened is read from the sandbox's journal.
"""

import pytest
from gating import ROOT, gate

pytestmark = pytest.mark.contract

LIMITED = """
type: gateway-rate-limiting-config
name: limits
rules:
  - id: primary
    when: {models: [openai-main/gpt-4o-mini]}
    limit_to: 150
    unit: requests_per_minute
---
type: provider-account/guardrail-config-group
name: safety
integrations:
  - type: integration/guardrail-config/sandbox
    name: secrets
    operation: validate
    config: {pattern: "sk-[a-z]+", latency_ms: 2}
---
type: gateway-guardrails-config
name: guardrails
rules: [{id: all, llm_input_guardrails: [safety/secrets], llm_output_guardrails: [safety/secrets]}]
"""
LOSSY = """
type: sandbox/gateway
exporter: {queue_size: 61, batch_size: 100, window_ms: 500}
---
type: gateway-otel-config
otel_traces_exporter_config: {type: http, encoding: json, exclude_request_data: true}
"""
OPENAI = "openai-main/gpt-4o-mini"
FALLBACK = ROOT / "tests" / "data" / "fallback.yaml"


def rehearsed(tmp_path, *switches, config="", **scenario):
    file = tmp_path / "gateway.yaml"
    file.write_text(config)
    chosen = [f"--gateway-switch={switch}" for switch in switches]
    given = ["--gateway-config", file] if config else []
    return gate(tmp_path, "--rate", "75/s", *chosen, *given, **scenario)


def exported(run):
    """Give the ids of the run's traces."""
    mine = [line for line in run.events("request") if line["run_id"] == run.manifest["run_id"]]
    return {line["trace_id"] for line in mine}


def accounted(run):
    found = run.verdict["accounting"]
    return found["expected_traces"], found["complete"], found["lost"]


def test_genai_conventions_alone_are_enough(tmp_path):
    run = rehearsed(tmp_path, "attributes=genai", "target-encoding=quoted")
    assert run.code == 0, run.out + run.err
    traces = len(exported(run))
    assert accounted(run) == (traces, traces, 0)
    assert run.spans("count(*)", "role = 'model'") == [(traces,)]
    assert set(run.states("provider-errors").values()) == {"PASS"}


def test_a_limit_of_the_gateway_is_not_the_providers_error(tmp_path):
    """A target that the gateway's own limit closes is an Error Model span which asked nobody."""
    flat = ("metadata-encoding=flat", "retry-spans=http", "timeout-spans=model")
    run = rehearsed(tmp_path, *flat, config=LIMITED, scenario=FALLBACK)
    moved = [line for line in run.events("request") if [OPENAI, 429] in line["attempts"]]
    assert moved, "the limit was never reached"
    assert run.code == 0, run.out + run.err
    assert set(run.states("provider-errors").values()) == {"PASS"}
    traces = len(exported(run))
    assert accounted(run) == (traces, traces, 0)
    assert run.spans("count(*)", "role = 'model' AND status = 'error'") == [(0,)]
    assert run.spans("count(*)", "role = 'guardrail'") == [(traces,)], (
        "outputs of streams are skipped"
    )


def test_under_other_encodings_exactly_what_the_exporter_lost_is_lost(tmp_path):
    switches = ("metadata-encoding=kvlist", "metadata-on-all-spans", "span-kinds=internal")
    shapes = ("attributes=both", "target-encoding=unpadded", "target-shape=nested")
    run = rehearsed(tmp_path, *switches, *shapes, config=LOSSY)
    assert run.code == 20, run.out + run.err
    lost = {line["trace_id"] for line in run.events("span_lost")} & exported(run)
    traces = len(exported(run))
    assert lost
    assert accounted(run)[:2] == (traces, traces - len(lost))
    assert "FAIL" in run.states("trace-completeness").values()
    assert set(run.states("client-errors").values()) == {"PASS"}
    assert run.spans("count(*)", "run_id IS NULL") == [(0,)], "every span bears the metadata"

"""Rehearsals: faults of the sandbox, and what the gate says about each. The journal knows the truth."""

import pytest
from gating import ROOT, SCENARIO, gate

pytestmark = [pytest.mark.contract, pytest.mark.xdist_group("rehearsals")]
SLO = ("--slo", ROOT / "tests" / "data" / "rehearsal")


def finding(run, objective, provider=None):
    (one,) = [
        item
        for item in run.verdict["findings"]
        if item["objective"] == objective and item["group"].get("provider") == provider
    ]
    return one


def test_a_slow_gateway_is_named_and_its_providers_are_not_blamed(tmp_path):
    run = gate(tmp_path, *SLO, "--fault", "gateway_latency=300ms")
    assert run.code == 20, run.err
    assert set(run.states("provider-latency").values()) == {"PASS"}
    slow = finding(run, "client-ttft")
    assert slow["state"] == "FAIL"
    stage = slow["why"]["stages"][0]
    assert stage["name"] == "gateway"
    assert 290 < stage["bad_ms"] < 400
    assert "gateway explains" in run.verdict["reason"]
    assert "gateway explains" in " ".join(run.out.split("\n\n")[0].split())


def test_one_slow_provider_among_five_is_named_in_the_first_line(tmp_path):
    run = gate(
        *(tmp_path, *SLO, "--fault", "provider_latency:mistral=2s"),
        scenario=ROOT / "tests" / "data" / "five.yaml",
    )
    assert run.code == 20, run.err
    assert run.states("provider-latency") == {
        "mistral": "FAIL",
        **dict.fromkeys(("anthropic", "bedrock", "gemini", "openai"), "PASS"),
    }
    state, reason, *_ = run.out.splitlines()
    assert state.startswith("FAIL")
    assert reason.startswith("provider-latency, mistral: ")
    assert (
        finding(run, "provider-latency", "mistral")["why"]["stages"][0]["name"] == "provider wait"
    )


def test_lost_and_late_traces_are_told_apart_and_counted_exactly(tmp_path):
    """The delay leaves five seconds in which a look proves lateness, also on a busy machine."""
    patient = tmp_path / "patient.yaml"
    patient.write_text(SCENARIO.read_text().replace("deadline: 7s", "deadline: 14s"))
    run = gate(
        *(tmp_path, *SLO, "--fault", "trace_loss=0.01", "--fault", "trace_delay=9s@0.05"),
        scenario=patient,
    )
    mine = {
        event["trace_id"] for event in run.events("request") if event["run_id"] == run.folder.name
    }
    dropped = {event["trace_id"] for event in run.events("trace_dropped")} & mine
    delayed = {event["trace_id"] for event in run.events("trace_delayed")} & mine
    found = run.verdict["accounting"]
    assert (found["lost"], found["late"]) == (len(dropped), len(delayed))
    assert found["lost"] / found["expected_traces"] == pytest.approx(0.01, abs=0.005)
    assert found["late"] / found["expected_traces"] == pytest.approx(0.05, abs=0.01)
    splits = {split["by"]: split["parts"] for split in found["losses"]}
    assert {part["value"]: part["lost"] for part in splits["hop"] if part["lost"]} == {
        "between export and Last9": len(dropped)
    }, "the control plane has what the export lost"
    for by in ("provider", "minute", "worker", "status", "size_band", "hop"):
        assert sum(part["lost"] for part in splits[by]) == len(dropped)
        assert sum(part["late"] for part in splits[by]) == len(delayed)
    assert finding(run, "completeness")["bad"] == len(dropped), "late is not lost"
    assert "lost      by provider:" in run.out


def test_a_fallback_saves_the_clients_and_not_the_primary(tmp_path):
    run = gate(
        *(tmp_path, *SLO, "--fault", "provider_down:openai"),
        scenario=ROOT / "tests" / "data" / "fallback.yaml",
    )
    assert run.code == 20, run.err
    assert finding(run, "client-errors")["bad"] == 0
    primary = finding(run, "provider-errors", "openai")
    assert (primary["state"], primary["bad"]) == ("FAIL", primary["total"])
    assert run.states("provider-errors") == {"openai": "FAIL", "anthropic": "PASS"}, (
        "the third, a standby nobody needed, is not missed"
    )
    assert run.verdict["reason"].startswith("provider-errors, openai:")
    assert primary["why"]["stages"][0]["name"] == "provider wait"
    assert [one["name"] for one in primary["why"]["where"]["provider"]] == ["openai"]


def test_a_page_cap_below_the_row_count_is_an_error_and_never_complete(tmp_path):
    run = gate(tmp_path, *SLO, "--fault", "last9_page_cap=150")
    assert run.code == 23, run.out
    assert run.verdict["state"] == "ERROR"
    assert run.verdict["reason_code"] == "truncated"
    assert {item["state"] for item in run.verdict["findings"]} == {"INFO"}


def test_a_saturated_generator_is_an_error_without_a_latency_verdict(tmp_path):
    run = gate(
        *(tmp_path, "--slo", ROOT / "slo" / "pr", "--client-only"),
        scenario=ROOT / "tests" / "data" / "saturated.yaml",
    )
    assert run.code == 23, run.out
    assert run.verdict["reason_code"] == "invalid_run"
    assert "generator saturated" in run.verdict["reason"]
    assert {item["state"] for item in run.verdict["findings"]} <= {"INFO", "NOT_CONFIGURED"}


def test_missing_tokens_are_missing_and_not_cheap(tmp_path):
    run = gate(tmp_path, *SLO, "--fault", "missing_tokens=0.02")
    attributes = finding(run, "attributes")
    assert attributes["state"] in {"FAIL", "INCONCLUSIVE"}
    assert attributes["bad"] / attributes["total"] == pytest.approx(0.02, abs=0.01)
    cost = finding(run, "run-cost")
    assert cost["state"] == "INCONCLUSIVE"
    assert "do not say" in cost["message"]

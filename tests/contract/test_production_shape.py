"""One sandbox as production: its traffic becomes a scenario, a run is exported, a second one compared."""

import json
import re
from collections import Counter
from datetime import UTC, datetime

import gating
import pytest

from tfy_last9.adapters.clock import SystemClock
from tfy_last9.adapters.files.scenario import load_scenario
from tfy_last9.adapters.last9.client import Last9Client
from tfy_last9.adapters.last9.settings import from_environment
from tfy_last9.wire.last9_aggregates import read_count
from tfy_last9.wire.last9_fields import SERVICE_NAME
from tfy_last9.wire.last9_filters import all_of, equals
from tfy_last9.wire.last9_pipeline import where
from tfy_last9.wire.last9_queries import COUNT, roots_counted

pytestmark = [pytest.mark.contract, pytest.mark.xdist_group("production")]


def requests(production, run_id):
    lines = map(json.loads, production.journal.read_text().splitlines())
    return [one for one in lines if one["event"] == "request" and one.get("run_id") == run_id]


def in_last9(production, ends, n):
    """Wait until the traces of so many requests are visible."""
    query = roots_counted("tfy-llm-gateway", None).document()
    with Last9Client(from_environment(production.settings), SystemClock()) as client:
        gating.wait_for(lambda: read_count(client.query(query, *ends, 10), COUNT) >= n)


def verdict(production, run_id):
    return json.loads((production.folder / "runs" / run_id / "verdict.json").read_text())


def test_a_gate_without_a_baseline_is_no_data_although_its_slos_hold(production, first):
    assert first.returncode == 22, first.stdout + first.stderr
    found = verdict(production, "first")
    unwell = {one["objective"] for one in found["findings"] if one["state"] != "PASS"}
    assert unwell == {"baseline"}
    assert "there is no folder kept" in found["reason"]


def test_spans_of_the_run_are_in_last9_and_link_to_the_gateways_traces(production, first):
    assert "exported to" in first.stderr, first.stderr
    settings = from_environment(production.settings)
    with Last9Client(settings, SystemClock()) as client:
        query = where(all_of(equals(SERVICE_NAME, "tfy-last9")))
        manifest = json.loads((production.folder / "runs/first/run.json").read_text())
        start_s, end_s = manifest["start_ns"] // 10**9 - 5, manifest["end_ns"] // 10**9 + 5
        rows = gating.wait_for(
            lambda: (
                found
                if len(found := client.query(query.document(), start_s, end_s, 5000)) > 3
                else None
            )
        )
        mine = [row for row in rows if row["SpanAttributes"].get("tfy_last9.run_id") == "first"]
        names = Counter(row["SpanName"].split()[0] for row in mine)
        assert (names["load"], names["phase"]) == (1, 2), "other runs may be there as well"
        minted = {one["trace_id"] for one in requests(production, "first")}
        asked = [row for row in mine if row["SpanName"].startswith("chat")]
        assert len(asked) == len(minted)
        assert {row["SpanAttributes"]["tfy_last9.gateway.trace_id"] for row in asked} == minted
        (whole, *_) = client.trace(asked[0]["TraceId"], start_s, end_s, 10)
    linked = {link["TraceId"] for link in whole["Links"]}
    assert asked[0]["SpanAttributes"]["tfy_last9.gateway.trace_id"] in linked


def test_metrics_of_the_run_reach_last9_too(production, first):
    lines = map(json.loads, production.journal.read_text().splitlines())
    arrived = [one["points"] for one in lines if one["event"] == "metrics"]
    assert set(arrived[0]) == {
        "gen_ai.client.operation.duration",
        "gen_ai.client.operation.time_to_first_chunk",
        "gen_ai.client.token.usage",
    }
    assert f"and {sum(arrived[0].values())} points of metrics" in first.stderr


@pytest.mark.usefixtures("first")
def test_what_was_sent_comes_back_as_a_scenario(production):
    sent = requests(production, "first")
    manifest = json.loads((production.folder / "runs/first/run.json").read_text())
    ends = (manifest["start_ns"] // 10**9, manifest["end_ns"] // 10**9 + 1)
    since, until = (datetime.fromtimestamp(at, tz=UTC).isoformat() for at in ends)
    asked = ("scenario", "from-last9", "--from", since, "--to", until, "--duration", "20s")
    in_last9(production, ends, len(sent))
    answer = gating.run(*asked, "--budget-usd", 5, cwd=production.folder, **production.settings)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    made = load_scenario(production.folder / "scenarios" / "production.yaml")
    total = sum(target.weight for target in made.targets)
    shares, streams = Counter(), Counter()
    for target in made.targets:
        shares[target.model] += target.weight / total
        streams[target.model, target.stream] += target.weight / total
    rows = gating.query(
        f"SELECT model, count(*) FROM '{production.folder}/runs/first/requests.parquet' GROUP BY 1"
    )
    assert sum(n for _, n in rows) == len(sent)
    for model, n in rows:
        assert shares[model] == pytest.approx(n / len(sent), abs=0.01)
    assert streams["anthropic-main/claude-sonnet-4-6", True] == 0
    assert streams["openai-main/gpt-4o-mini", False] == 0
    reach = {target.model: target.may_reach for target in made.targets}
    assert reach["sandbox/chat-default"] == ("openai",)
    caps = {target.model: target.max_tokens for target in made.targets}
    assert caps["openai-main/gpt-4o-mini"] == 20
    assert caps["anthropic-main/claude-sonnet-4-6"] == 40
    rates = [knot.rate_per_s for knot in made.curve.knots]
    assert (
        rates[-1] < max(rates) / 1.5
    )  # it starts slowly, gets busier, and ends with the last answers
    assert max(rates) == pytest.approx(160, rel=0.35)
    words = {len(prompt.messages[0].content.split()) for prompt in made.prompts}
    assert min(words) < 12 < max(words)
    assert re.search(r"price: about [\d.]+ USD", answer.stdout)


@pytest.mark.usefixtures("first")
def test_a_second_run_that_is_slower_fails_against_the_first_one(production, gate_there):
    """Inside its own SLOs, and the folder alone decides it again."""
    folder = production.folder
    kept = gating.run("keep", "runs/first", "kept", cwd=folder)
    assert kept.returncode == 0, kept.stderr
    production.set_faults("provider_latency:anthropic=250ms")
    try:
        arguments = ("--baseline", "latest-pass", "--baselines", "kept", "--run-id", "second")
        ended = gate_there(*arguments)
    finally:
        production.set_faults()
    assert ended.returncode == 20, ended.stdout + ended.stderr
    found = verdict(production, "second")
    failed = {one["objective"] for one in found["findings"] if one["state"] == "FAIL"}
    assert failed == {"baseline-total"}
    assert "anthropic" in found["reason"]
    before = (folder / "runs/second/verdict.json").read_bytes()
    (folder / "kept").rename(folder / "moved")
    again = gating.run("check", "runs/second", cwd=folder)
    assert again.returncode == 20, again.stderr
    assert (folder / "runs/second/verdict.json").read_bytes() == before

"""The page of a verdict and pictures written as literals, against a golden file."""

import json
import re
from dataclasses import replace

from report_samples import GAPS, INVALID, PASSED, VERDICT, link, matches_golden

from tfy_last9.model.pictures import (
    NO_PICTURES,
    Flow,
    Heat,
    Histogram,
    Limit,
    Series,
    Spend,
    Stretch,
    Timeline,
    Waterfall,
)
from tfy_last9.model.request import LedgerRow
from tfy_last9.model.run import EvidenceRecord, Manifest, SettlePoint
from tfy_last9.model.scenario import (
    ArrivalKind,
    Driver,
    Limits,
    OnInconclusive,
    Policy,
    Scenario,
    Settle,
)
from tfy_last9.model.trace import Role, Span, SpanStatus
from tfy_last9.model.verdict import Lift, Portion, Quantile, Why
from tfy_last9.reports.html.page import render

MS = 1_000_000
TRACE = "0af7651916cd43dd8448eb211c80319c"

SCENARIO = Scenario(
    name="smoke",
    description="",
    driver=Driver.STREAM,
    seed=7,
    arrivals=ArrivalKind.POISSON,
    targets=(),
    phases=(),
    prompts=(),
    limits=Limits(10, 5.0, 20.0, 20.0, 60.0),
    metadata={},
    settle=Settle(60.0, 30.0, 2.0),
    policy=Policy(OnInconclusive.FAIL),
)
MANIFEST = Manifest(
    run_id=VERDICT.run_id,
    created_ns=0,
    scenario=SCENARIO,
    versions={"tfy-last9": "0.1.0"},
    digests={},
    gateway_url="https://gateway.example.com",
    sandbox=True,
    client_only=False,
    faults=("provider_latency:anthropic=2s",),
    expected_workers=1,
    ended="schedule",
)
EVIDENCE = EvidenceRecord(
    strategy="rows",
    window=None,
    region="ap-south-1",
    organisation="acme",
    cluster=None,
    link_base=None,
    queries=12,
    rows_fetched=8_000,
    bytes_fetched=1,
    truncated=(),
    late_after_s=30.0,
    deadline_s=60.0,
    settled=True,
    history=(SettlePoint(0, 2790, 2000), SettlePoint(2_000_000_000, 2790, 2738)),
)
ROW = LedgerRow(
    **dict.fromkeys(LedgerRow._fields)
    | {
        "run_id": VERDICT.run_id,
        "request_id": "r1.5",
        "target": "anthropic",
        "provider": "anthropic",
        "due_ns": 0,
        "started_ns": 2 * MS,
        "first_token_ns": 2900 * MS,
        "finished_ns": 4910 * MS,
        "epoch_ns": 0,
        "status": 200,
        "outcome": "timeout",
        "chunks": 20,
        "error_message": "no data for 20 s",
        "trace_id": TRACE,
    }
)


def span(role, start_ms, duration_ms, status=SpanStatus.OK, **attributes):
    return Span(
        trace_id=TRACE,
        span_id=role.value,
        parent_span_id=None,
        name=role.value,
        kind="internal",
        service="tfy-llm-gateway",
        status=status,
        status_message="upstream closed" if status is SpanStatus.ERROR else None,
        start_ns=start_ms * MS,
        duration_ns=duration_ms * MS,
        role=role,
        provider="anthropic",
        account=None,
        model=None,
        route=None,
        region=None,
        env=None,
        run_id=None,
        request_id=None,
        attributes=attributes,
        resource={},
    )


SPANS = (
    span(Role.ROOT, 10, 4890),
    span(Role.MODEL, 12, 80, SpanStatus.ERROR),
    span(Role.MODEL, 95, 4800, **{"tfy.model.metric.time_to_first_token_in_ms": 2800.0}),
    span(Role.HTTP, 96, 4790),
)


def line(name, *values):
    return Timeline((Series(name, values),), 3)


PICTURES = replace(
    NO_PICTURES,
    step_s=1.0,
    columns=3,
    phases=(Stretch("warm-up", 0.0, 1.0, False), Stretch("steady", 1.0, 3.0, True)),
    providers=("anthropic", "openai"),
    rates=Timeline(
        (Series("offered", (80.0, 81.0, 0.0)), Series("finished", (70.0, 80.0, 11.0))), 161
    ),
    in_flight=line("in flight", 10.0, 11.0, 0.0),
    errors=Timeline((Series("timeout", (0.0, 1.0, 0.0)), Series("http_error", (1.0, 2.0, 0.0))), 4),
    tokens=line("openai", 900.0, 850.0, 20.0),
    cost=line("openai", 0.01, 0.02, 0.03),
    spend=(Spend("openai", 0.03, 160, 158),),
    hub_lag_ms=line("worker 0", 1.0, None, 25.6),
    heats=(Heat("ttft", "openai", 3, ((0, 24, 2), (2, 25, 1))),),
    histograms=(
        Histogram(
            "ttft", "anthropic", 3, 1, ((66, 3),), (Quantile(0.95, 2840.0, 2710.0, None, "ms"),)
        ),
        Histogram(
            "ttft", "openai", 3, 0, ((48, 2), (50, 1)), (Quantile(0.95, 312.0, 300.0, 340.0, "ms"),)
        ),
    ),
    gaps=GAPS,
    limits=(Limit("ttft", None, 1500.0, "client-ttft-p95"),),
    flows=(
        Flow("answered", "on time", 150),
        Flow("answered", "lost", 1),
        Flow("missed", "none expected", 2),
    ),
    worst=(Waterfall(ROW, SPANS, "joined by header", "FAIL client-ttft-p95, anthropic"),),
)


def page(verdict=VERDICT, pictures=PICTURES, evidence=EVIDENCE):
    return render(verdict, pictures, MANIFEST, evidence, link)


def words(text):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", text))


def test_the_page_matches_the_golden_file():
    """Style and script are left out: they are files of their own."""
    text = re.sub(r"<style>.*?</style>|<script>.*?</script>", "", page(), flags=re.DOTALL)
    assert matches_golden("report.html", re.sub(r"sha256-[^']*", "sha256-", text))


def test_a_waterfall_shows_client_gateway_attempts_and_provider_in_order():
    text = words(page().split('class="card waterfall"')[1].split("</details>")[0])
    parts = (
        "client: before",
        "client: first token",
        "client: stream",
        "gateway",
        "attempt 1",
        "attempt 2",
        "provider call",
    )
    places = [text.index(part) for part in parts]
    assert places == sorted(places)
    assert "error upstream closed" in text


def test_the_headline_of_a_failure_is_the_promise_that_broke_and_for_whom():
    headline = words(page().split("<h1")[1].split("</h1>")[0])
    assert "Broken for anthropic: p95 time to first token <= 1500 ms" in headline.replace(
        "&lt;", "<"
    )
    assert "at least one critical" not in headline.lower()


def test_an_invalid_run_says_once_that_nothing_is_concluded():
    first = "nothing can be said about the objectives: generator saturated"
    reason = page(replace(INVALID, reason=first)).split('class="reason">')[1].split("</p>")[0]
    assert reason == "generator saturated"


def test_errors_fail_somewhere_and_lose_no_time():
    why = Why(
        where=(("seen", (Portion("ok", 1.0),)),),
        stages=(Portion("provider wait", 1.0),),
        first_bad_minute=None,
        lifts=(),
    )
    told = replace(VERDICT, findings=tuple(replace(one, why=why) for one in VERDICT.findings))
    text = words(page(told))
    assert "Failed in: provider wait" in text
    assert "Lost time" not in text
    assert "seen ok" not in text  # slow ones: it says nothing


def test_what_is_not_well_is_gathered_by_group():
    text = words(page().split("Do next")[0])
    assert "What is not well" in text
    assert "anthropic" in text
    assert "client-ttft-p95" in text


def test_a_pass_names_nothing_that_is_not_well():
    assert "What is not well" not in page(PASSED)


def test_an_invalid_run_is_said_to_conclude_nothing():
    text = words(page(INVALID))
    assert "nothing is concluded about the gateway" in text
    assert "FAIL" not in text.split("Objectives")[0]


def test_without_evidence_the_tile_says_that_last9_was_not_asked():
    bare = replace(VERDICT.accounting, expected_traces=0, lag=None)
    text = words(page(replace(VERDICT, accounting=bare), evidence=None))
    assert "Last9 was not asked" in text


def test_commands_name_the_folder_where_runs_are_by_default():
    assert f"tfy-last9 traces runs/{VERDICT.run_id} --where" in words(page())


def test_causes_are_told_where_they_are_known():
    why = Why(
        where=(("provider", (Portion("openai", 1.0),)), ("model", (Portion("<gpt>", 0.75),))),
        stages=(Portion("provider wait", 0.9, 2000.0, 200.0),),
        first_bad_minute=2,
        lifts=(Lift("region", "eu", 30, 40, 3.5),),
    )
    told = replace(VERDICT, findings=tuple(replace(one, why=why) for one in VERDICT.findings))
    text = words(page(told))
    assert "provider wait 90 %" in text
    assert "model &lt;gpt&gt; 75 %" in text
    assert "minute 3" in text
    assert "region=eu: bad at least 3.5 times as often" in text


def test_a_canary_shows_its_change_against_the_margin():
    """The canary's findings promise a change, and come from the scenario instead of an SLO file."""
    change = replace(
        VERDICT.findings[0],
        objective="canary-ttft",
        measured="+12 % [+8 %, +16 %]",
        budget=0.1,
        bad_low=0.08,
        bad_high=0.16,
        path="",
        line=0,
    )
    text = page(replace(VERDICT, findings=(change,)))
    assert "change between 8 % and 16 %, 10 % allowed" in text
    assert "arms of the scenario" in text
    assert "slo/:0" not in text


def test_gaps_between_tokens_are_told_per_target_with_their_stalls():
    text = words(page().split('id="token-gaps"')[1].split("</figure>")[0])
    assert "4 of 200 streams were once silent for 1 s or longer; n = 1,901 gaps" in text
    assert "gpt openai 1,900 20.2 ms 20.2 ms 20.2 ms 2.15 s 100 2" in text
    assert "claude / canary" in text


def test_tokens_of_one_packet_are_in_the_first_bar_and_in_the_numbers():
    """A gap of 0 has no place on a logarithmic axis; what is downloaded says 0."""
    numbers = json.loads(page().split('id="data">')[1].split("</script>")[0])["token-gaps"]
    assert numbers["columns"] == ["target", "arm", "at_least_ms", "below_ms", "gaps"]
    assert ["gpt", "", 0, 1e-06, 40] in numbers["rows"]
    assert sum(row[-1] for row in numbers["rows"]) == sum(one.n for one in GAPS)

"""Verdicts that show every feature of a report, written as literals: no judging happens here."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from tfy_last9.model.pictures import TokenGaps
from tfy_last9.model.verdict import (
    Accounting,
    Exemplar,
    Finding,
    Quantile,
    State,
    Validity,
    Verdict,
)

GOLDEN = Path(__file__).parents[2] / "golden"

FINDING = Finding(
    objective="client-ttft-p95",
    group=(("provider", "openai"),),
    state=State.PASS,
    critical=True,
    book="client-ledger",
    claim="p95 time to first token <= 1500 ms",
    message="openai: 0.312 % of 960 requests slower than 1500 ms (budget 5 %, at most 0.806 % with"
    " 95 % confidence); p95 812 ms [790, 840]",
    total=960,
    bad=3,
    excluded=0,
    budget=0.05,
    confidence=0.95,
    bad_low=0.000852,
    bad_high=0.00806,
    quantile=Quantile(0.95, 812.0, 790.0, 840.0, "ms"),
    requests_needed=None,
    exemplars=(),
    path="client.yaml",
    line=5,
)
SLOW = replace(
    FINDING,
    group=(("provider", "anthropic"),),
    state=State.FAIL,
    message="anthropic: 98.3 % of 840 requests slower than 1500 ms (budget 5 %, at least 97.4 % with"
    " 95 % confidence); p95 2.84 s [2.71, 3.02]",
    total=840,
    bad=826,
    bad_low=1 / 3,
    bad_high=0.989,
    quantile=Quantile(0.95, 2840.0, 2710.0, None, "ms"),
    exemplars=(
        Exemplar("r1.5", "0af7651916cd43dd8448eb211c80319c", 4910.2, "timeout"),
        Exemplar("r1.6", None, None, "missing"),
    ),
)
UNDECIDED = replace(
    FINDING,
    objective="client-errors",
    group=(("provider", "azure-openai"), ("arm", "canary")),
    state=State.INCONCLUSIVE,
    claim="at most 1 % of requests in error",
    message="azure-openai / canary: 1 % of 100 requests in error (budget 1 %, between 0.0513 % and"
    " 4.66 %, each with 95 % confidence); needs 373 more good requests to pass",
    total=100,
    bad=1,
    budget=0.01,
    quantile=None,
    requests_needed=373,
    path="client.yaml",
    line=51,
)
SILENT = replace(
    FINDING,
    objective="trace-completeness",
    group=(("provider", "gemini"),),
    state=State.NO_DATA,
    book="both",
    claim="99.5 % of expected traces show a root and model span",
    message="gemini: not one of 40 expected traces is complete in Last9",
    total=40,
    bad=40,
    budget=0.005,
    confidence=None,
    bad_low=None,
    bad_high=None,
    quantile=None,
    path="traces.yaml",
    line=5,
)
WEAK = replace(SLOW, objective="cost", critical=False, state=State.WARN, exemplars=())
OFF = replace(
    SILENT, objective="provider-errors", group=(), state=State.NOT_CONFIGURED, total=0, bad=0
)
BROKEN = replace(SILENT, objective="lag", state=State.ERROR, message="gemini: no <measurement>\x00")

COMMAND = "tfy-last9 traces 20261123-101500-ab12 --where provider=anthropic --slowest 5"

VERDICT = Verdict(
    run_id="20261123-101500-ab12",
    scenario="smoke",
    state=State.FAIL,
    exit_code=20,
    reason="client-ttft-p95, anthropic: 98.3 % of 840 requests slower than 1500 ms (budget 5 %, at"
    " least 97.4 % with 95 % confidence); p95 2.84 s [2.71, 3.02] (and 4 more not passed)",
    reason_code="objective_failed",
    findings=(FINDING, SLOW, UNDECIDED, SILENT, WEAK, OFF, BROKEN),
    accounting=Accounting(
        intended=2800,
        missed=2,
        unsent=1,
        refused=7,
        unanswered=3,
        answered=2787,
        unreported=0,
        expected_traces=2790,
        joined=2740,
        late=5,
        lost=44,
        conflicts=1,
        complete=2738,
        optional_found=6,
        join_paths=(("header", 2700), ("metadata", 45)),
        lag=Quantile(0.95, 6.21, 5.9, 6.6, "s"),
        lag_p50_s=3.14159,
        lag_max_s=12.0,
    ),
    validity=Validity(
        offered=2800,
        started=2798,
        missed=2,
        finished=2797,
        unreported=0,
        start_lag_p99_ms=1.23,
        hub_lag_p99_ms=25.6,
        problems=(),
        warnings=("2 of 2,800 arrivals found no free user",),
    ),
    next_steps=(f"see the worst ones: {COMMAND}", "follow one request: tfy-last9 doctor"),
)

PASSED = replace(
    VERDICT,
    state=State.PASS,
    exit_code=0,
    reason="1 of 1 proven good enough; tightest: client-ttft-p95, " + FINDING.message,
    reason_code="passed",
    findings=(FINDING,),
    next_steps=(),
)

INVALID = replace(
    VERDICT,
    state=State.ERROR,
    exit_code=23,
    reason="nothing can be said about the objectives: 1 of 2 workers reported",
    reason_code="invalid_run",
    findings=(replace(FINDING, state=State.INFO),),
    validity=replace(VERDICT.validity, problems=("1 of 2 workers reported",)),
    next_steps=("run the gate again",),
)


_GAPS = TokenGaps(
    target="gpt",
    arm=None,
    provider="openai",
    n=1900,
    streams=100,
    stalled=2,
    longest_ms=2150.0,
    buckets=((0, 1, 40), (19_922_944, 20_447_232, 1850), (2_147_483_648, 2_214_592_512, 10)),
    quantiles=tuple(Quantile(p, 20.2, 19.9, 20.4, "ms") for p in (0.5, 0.95, 0.99)),
)
GAPS = (
    replace(_GAPS, target="claude", arm="canary", provider=None, n=1, buckets=((500, 504, 1),)),
    _GAPS,
)


def link(exemplar):
    """A link as the adapters make it: empty for a request without a trace."""
    base = "https://app.last9.io/v2/organizations/acme/traces/trace?traceId="
    return f"{base}{exemplar.trace_id}" if exemplar.trace_id else ""


def matches_golden(name, text):
    """Compare with a golden file; UPDATE_GOLDEN=1 rewrites it and fails, so that it is looked at."""
    path = GOLDEN / name
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(text, encoding="utf-8")
        pytest.fail(f"rewrote {path.name}: read the difference, then run without UPDATE_GOLDEN")
    return path.read_text(encoding="utf-8") == text

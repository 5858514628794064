"""The shipped SLO sets fit their moment, and the page about SLO files tells the whole vocabulary."""

from pathlib import Path

import pytest

from tfy_last9.adapters.files.openslo import load_objectives
from tfy_last9.judge.planning import decidability, undecidable
from tfy_last9.model.fields import LEDGER_LABELS, RUN_FIELDS, SPAN_LABELS, VALUE_FIELDS
from tfy_last9.model.objective import Budgeting, reads_last9
from tfy_last9.model.trace import Role

ROOT = Path(__file__).parents[4]
PAGE = (ROOT / "docs" / "slo-files.md").read_text()
PROVIDERS = ("openai", "anthropic", "gemini")
FITS = {"": 300, "pr": 100, "release": 500, "nightly": 1000}


@pytest.mark.parametrize("name", FITS)
def test_a_set_can_be_decided_at_the_moment_it_is_for(name):
    planned = dict.fromkeys(PROVIDERS, FITS[name])
    rates = dict.fromkeys(PROVIDERS, 1.0)
    entries = decidability(load_objectives(ROOT / "slo" / name), planned, rates)
    assert entries
    assert not [str(entry) for entry in undecidable(entries)]


def test_a_pull_request_is_decided_even_with_one_bad_request():
    planned = dict.fromkeys(PROVIDERS, 100)
    entries = decidability(load_objectives(ROOT / "slo" / "pr"), planned)
    assert all(entry.needed_for_one_bad <= 100 for entry in entries if entry.critical)


def test_production_needs_no_ledger():
    objectives = load_objectives(ROOT / "slo" / "production")
    assert all(reads_last9(objective.indicator) for objective in objectives)
    assert objectives[0].expect == PROVIDERS


@pytest.mark.parametrize(
    "word",
    sorted(
        {name for _, name in VALUE_FIELDS}
        | {name for _, name in RUN_FIELDS}
        | LEDGER_LABELS
        | SPAN_LABELS
        | {role.value for role in Role}
        | {method.value for method in Budgeting}
    ),
)
def test_every_word_of_the_vocabulary_is_on_its_page(word):
    assert f"`{word}`" in PAGE


SETS = ("pr", "release", "nightly", "production", "optional")
INDICATORS = {
    "complete traces": "nightly trace-completeness",
    "spans per trace": "nightly spans-per-trace",
    "attributes": "nightly attributes",
    "not one trace missing": "nightly no-trace-missing",
    "time to first token": "pr client-ttft-p90",
    "first answer": "nightly first-answer-p95",
    "total time": "release client-total-p99",
    "inter-token time": "nightly inter-token-p95",
    "stall": "release client-stall-p95",
    "tokens per second": "nightly throughput-p95",
    "goodput": "release goodput",
    "error rate per provider": "pr provider-errors",
    "error rate per route": "nightly route-errors",
    "client-visible error rate": "production client-visible-errors",
    "fallback rate": "release fallbacks",
    "rate-limit rate": "nightly rate-limits",
    "client minus gateway": "nightly client-minus-gateway-p95",
    "gateway minus provider": "nightly gateway-minus-provider-p95",
    "ingestion lag": "nightly ingestion-lag-p99",
    "cost per request": "nightly cost-per-request",
    "cost per run": "nightly cost-of-the-run",
    "tokens per request": "nightly tokens-per-request",
    "tokens per run": "nightly tokens-of-the-run",
    "disagreement on status": "nightly statuses-agree",
    "disagreement on tokens": "nightly tokens-agree",
    "disagreement on latency": "nightly ttft-agrees",
    "MCP tool latency": "optional tool-latency-p90",
    "MCP tool errors": "optional tool-errors",
    "cache hit rate": "optional cache-hits",
}


@pytest.mark.parametrize("wanted", INDICATORS)
def test_an_objective_is_ready_for_every_indicator(wanted):
    name, _, objective = INDICATORS[wanted].partition(" ")
    assert objective in {one.name for one in load_objectives(ROOT / "slo" / name)}


def test_an_objective_is_ready_for_every_grouping():
    grouped = {
        label
        for name in SETS
        for one in load_objectives(ROOT / "slo" / name)
        for label in one.group_by
    }
    assert grouped >= {
        *("provider", "model", "route", "arm", "phase", "size_band"),
        *("env", "region", "team", "tenant_id"),
    }


def test_what_does_not_apply_everywhere_decides_nothing_by_itself():
    assert not any(one.critical for one in load_objectives(ROOT / "slo" / "optional"))

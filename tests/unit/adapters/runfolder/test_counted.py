"""A run that Last9 counted: its counts for calls, a random sample of traces for completeness."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest
from runfolder_builders import (
    Ask,
    build_page,
    build_record,
    build_row,
    build_trace,
    collect,
    sealed_folder,
    spans_ask,
    trace_of,
)

from tfy_last9.adapters.runfolder.counted import needs_every_trace
from tfy_last9.adapters.runfolder.evidence import EvidenceStore
from tfy_last9.adapters.runfolder.folder import RunFolder
from tfy_last9.adapters.runfolder.reduce import Reduction
from tfy_last9.errors import ConfigurationError
from tfy_last9.model.objective import Book, Objective, Operator, Scalar
from tfy_last9.model.run import Counted, Sample
from tfy_last9.model.trace import Role

SAMPLE = Sample(seed=7, per_provider=5)
ROWS = 20


def sampled_ids(folder: RunFolder, sample: Sample = SAMPLE) -> tuple[str, ...]:
    with EvidenceStore(folder, (Role.ROOT, Role.MODEL), sample) as store:
        return store.trace_ids()


def counted_run(parent: Path, *counts: Counted, lost: int = 0) -> RunFolder:
    """Seal 20 requests; 5 are sampled, of which all but `lost` show their trace."""
    folder = sealed_folder(parent, [build_row(n) for n in range(ROWS)])
    chosen = sampled_ids(folder)
    seqs = [n for n in range(ROWS) if trace_of(n) in chosen]
    collect(folder, build_page([span for n in seqs[lost:] for span in build_trace(n)]))
    folder.write_evidence(build_record(strategy="counts", sample=SAMPLE, counts=counts))
    return folder


def test_a_sample_is_a_function_of_seed_and_ledger(tmp_path: Path) -> None:
    folder = sealed_folder(tmp_path, [build_row(n) for n in range(ROWS)])
    first = sampled_ids(folder)
    assert len(first) == 5
    assert sampled_ids(folder) == first
    assert sampled_ids(folder, Sample(8, 5)) != first


def test_a_sample_is_stratified_by_provider(tmp_path: Path) -> None:
    rows = [build_row(n, provider="openai" if n < 18 else "anthropic") for n in range(ROWS)]
    folder = sealed_folder(tmp_path, rows)
    chosen = sampled_ids(folder)
    assert {trace_of(18), trace_of(19)} < set(chosen)
    assert len(chosen) == 7


def test_only_sampled_traces_are_waited_for(tmp_path: Path) -> None:
    folder = sealed_folder(tmp_path, [build_row(n) for n in range(ROWS)])
    with EvidenceStore(folder, (Role.ROOT, Role.MODEL), SAMPLE) as store:
        assert store.outstanding().expected == 5
        assert store.expected_traces() == ROWS


def test_sampled_requests_without_a_trace_id_are_named(tmp_path: Path) -> None:
    folder = sealed_folder(tmp_path, [build_row(0, trace_id=None, root_span_id=None)])
    with EvidenceStore(folder, (Role.ROOT,), SAMPLE) as store:
        assert store.unnamed_requests() == ("r1.0",)


def test_completeness_counts_the_sample_and_knows_the_whole(tmp_path: Path) -> None:
    folder = counted_run(tmp_path, lost=2)
    ask = Ask(group_by=("provider",)).complete()
    with Reduction(folder, [ask]) as reduction:
        (tally,) = reduction.tallies()["objective"]
        accounting = reduction.accounting()
    assert (tally.total, tally.bad, tally.excluded, tally.population) == (5, 2, 0, ROWS)
    assert (accounting.expected_traces, accounting.lost) == (5, 2)
    assert (accounting.strategy, accounting.population) == ("counts", ROWS)


def test_calls_are_those_that_last9_counted(tmp_path: Path) -> None:
    counts = (
        Counted("objective", ("anthropic",), 4, 4, 0),
        Counted("objective", ("openai",), 900, 3, 11),
    )
    folder = counted_run(tmp_path, *counts)
    ask = spans_ask(group_by=("provider",)).threshold("duration_ms", 2000.0)
    with Reduction(folder, [ask]) as reduction:
        found = {tally.group[0][1]: tally for tally in reduction.tallies()["objective"]}
    openai, stranger = found["openai"], found["anthropic"]
    assert (openai.total, openai.bad, openai.excluded, openai.expected) == (900, 3, 11, True)
    assert openai.quantile is None
    assert (stranger.total, stranger.expected) == (4, False)


def test_a_provider_that_last9_did_not_count_is_silent(tmp_path: Path) -> None:
    """Whatever the sample shows: the counts are the evidence, and they show nothing of it."""
    folder = counted_run(tmp_path, Counted("objective", ("gemini",), 4, 0, 0))
    ask = spans_ask(group_by=("provider",)).ratio(status="error")
    with Reduction(folder, [ask]) as reduction:
        found = {tally.group[0][1]: tally for tally in reduction.tallies()["objective"]}
    assert (found["openai"].total, found["openai"].expected) == (0, True)


def test_what_last9_did_not_count_is_judged_on_the_sample(tmp_path: Path) -> None:
    folder = counted_run(tmp_path)
    ask = spans_ask().threshold("ttft_ms", 500.0)
    with Reduction(folder, [ask]) as reduction:
        (tally,) = reduction.tallies()["objective"]
    assert (tally.total, tally.population) == (5, None)


def test_a_sum_over_all_traces_cannot_be_had_from_a_sample(tmp_path: Path) -> None:
    cost = Scalar(Book.LAST9, "cost_usd", Operator.LTE, 5.0)
    objective = Objective("cost", "cost", "s", cost, 0.0, (), True, 0.95, "a.yaml", 1)
    assert needs_every_trace(objective)
    folder = counted_run(tmp_path)
    with (
        Reduction(folder, [objective]) as reduction,
        pytest.raises(ConfigurationError, match="needs every trace"),
    ):
        reduction.tallies()


def test_the_saved_evidence_holds_the_sampled_traces_alone(tmp_path: Path) -> None:
    folder = counted_run(tmp_path)
    query = f"SELECT count(DISTINCT trace_id) FROM '{folder.spans_path}'"
    assert duckdb.sql(query).fetchall() == [(5,)]

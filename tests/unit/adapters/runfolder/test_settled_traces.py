"""Traces that are read while load runs: only as far as every one of them has settled."""

from dataclasses import replace

import pytest
from runfolder_builders import (
    EPOCH_NS,
    S,
    build_manifest,
    build_page,
    build_row,
    build_scenario,
    build_target,
    build_trace,
    new_folder,
    spans_ask,
    write_work,
)

from tfy_last9.adapters.runfolder.settled import SettledBook
from tfy_last9.model.trace import SpanStatus

N = 120
ASK = spans_ask(group_by=("provider",)).ratio(status="error")


@pytest.fixture
def folder(tmp_path):
    made = new_folder(tmp_path, build_manifest(scenario=build_scenario(targets=(build_target(),))))
    write_work(made, [build_row(seq, phase="steady") for seq in range(N)])
    return made


def traces(*seqs):
    return [span for seq in seqs for span in build_trace(seq, status=SpanStatus.ERROR)]


def settled(folder, spans, now_s):
    with SettledBook(folder, folder.read_manifest(), [ASK]) as book:
        assert book.outstanding().expected == N
        book.add(build_page(spans))
        return book.read(EPOCH_NS + now_s * S)


def test_a_trace_that_is_under_way_ends_the_stretch(folder):
    """What is shown first are the quick ones: the rest of them would be no fair sample."""
    found = settled(folder, traces(*range(70), *range(71, N)), now_s=N + 1)
    assert found.requests == 70
    (tally,) = found.tallies["objective"]
    assert (tally.total, tally.bad) == (70, 70)


def test_a_trace_that_nobody_waits_for_any_more_does_not(folder):
    found = settled(folder, traces(*range(10), *range(11, N)), now_s=10 * N)
    assert found.requests == N
    (tally,) = found.tallies["objective"]
    assert tally.total == N - 1


def test_a_trace_without_its_model_span_has_not_settled(folder):
    spans = traces(*range(N))
    without = [
        span for span in spans if not (span.trace_id.endswith("a064") and span.role != "root")
    ]
    assert settled(folder, without, now_s=N + 1).requests == 100


def test_whole_slices_are_bet_on(folder):
    found = settled(folder, traces(*range(N)), now_s=N + 1)
    assert found.bets["objective", (("provider", "openai"),)] > 0.0
    few = settled(folder, traces(*range(49)), now_s=N + 1)
    assert few.bets == {}


def test_the_run_folder_is_only_read(folder):
    before = sorted(path.name for path in folder.path.rglob("*"))
    settled(folder, traces(*range(N)), now_s=N + 1)
    assert sorted(path.name for path in folder.path.rglob("*")) == before


def test_before_the_first_request_there_is_nothing(tmp_path):
    empty = new_folder(tmp_path, replace(build_manifest(), run_id="empty"))
    with SettledBook(empty, empty.read_manifest(), [ASK]) as book:
        assert book.outstanding() is None

"""Slices of consecutive requests, against sums written by hand."""

from __future__ import annotations

from pathlib import Path

from runfolder_builders import Ask, build_row, reduced

from tfy_last9.model.verdict import Slices, Tally

BURST = range(20, 25)


def tally_of(tmp_path: Path, bad: range | set[int], n: int = 95, **changes: object) -> Tally:
    rows = [build_row(i, outcome="timeout" if i in bad else "ok", **changes) for i in range(n)]
    ask = Ask().ratio(outcome="timeout")
    (tally,) = reduced(tmp_path, rows, [], ask).tallies()[ask.name]
    return tally


def test_five_bad_requests_in_a_row_share_one_slice(tmp_path: Path) -> None:
    """95 requests make nine whole slices of ten; the last five are left out."""
    assert tally_of(tmp_path, BURST).slices == Slices(size=10, count=9, bad=5, bad_squares=25)


def test_scattered_bad_requests_do_not(tmp_path: Path) -> None:
    assert tally_of(tmp_path, {1, 12, 23, 34, 45}).slices == Slices(10, 9, 5, 5)


def test_consecutive_means_in_the_order_of_the_schedule(tmp_path: Path) -> None:
    """Whatever the order of the rows on disk, and however many workers sent them."""
    assert tally_of(tmp_path, BURST, worker=1).slices == tally_of(tmp_path / "b", BURST).slices


def test_slices_are_cut_within_each_group(tmp_path: Path) -> None:
    """Every other request went to another provider: ten of one are twenty of the run."""
    rows = [
        build_row(
            i,
            provider="openai" if i % 2 else "gemini",
            target="openai",
            outcome="timeout" if i in range(20, 30) else "ok",
        )
        for i in range(200)
    ]
    ask = Ask(group_by=("provider",)).ratio(outcome="timeout")
    slices = [tally.slices for tally in reduced(tmp_path, rows, [], ask).tallies()[ask.name]]
    assert slices == [Slices(10, 10, 5, 25), Slices(10, 10, 5, 25)]


def test_without_two_bad_events_there_is_nothing_to_cut(tmp_path: Path) -> None:
    assert tally_of(tmp_path, {7}).slices is None
    assert tally_of(tmp_path / "all", range(95)).slices is None


def test_excluded_requests_take_no_place(tmp_path: Path) -> None:
    rows = [
        build_row(
            i,
            outcome="http_error" if i % 2 else "ok",
            first_token_ns=None if i % 2 or i in range(40, 60) else 300_000_000,
        )
        for i in range(200)
    ]
    ask = Ask().threshold("ttft_ms", 1500)
    (tally,) = reduced(tmp_path, rows, [], ask).tallies()[ask.name]
    assert (tally.total, tally.bad, tally.excluded) == (100, 10, 100)
    assert tally.slices == Slices(10, 10, 10, 100)

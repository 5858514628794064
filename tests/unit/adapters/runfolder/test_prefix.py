"""The ledger of a run that still goes on."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
from runfolder_builders import Ask, build_manifest, build_row, build_scenario, new_folder

from tfy_last9.adapters.runfolder.folder import RunFolder
from tfy_last9.adapters.runfolder.prefix import read_prefix
from tfy_last9.adapters.runfolder.reduce import Reduction
from tfy_last9.adapters.runfolder.seal import seal
from tfy_last9.stats.sequential import bet_on_slices

ERRORS = Ask(target=0.9).ratio(outcome="timeout")


def running(tmp_path: Path, *files: list[dict[str, object]]) -> RunFolder:
    folder = new_folder(tmp_path, build_manifest(scenario=build_scenario()))
    for number, rows in enumerate(files):
        path = folder.work_path / f"rows-{number}.ndjson"
        path.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    return folder


def test_nothing_is_known_before_the_first_row(tmp_path: Path) -> None:
    assert read_prefix(running(tmp_path), build_scenario(), [ERRORS]) is None


def test_only_the_stretch_without_a_gap_counts(tmp_path: Path) -> None:
    """Request 3 still waits: what came after it are the quick ones."""
    rows = [build_row(seq) for seq in (0, 4, 2, 1, 5)]
    prefix = read_prefix(running(tmp_path, rows), build_scenario(), [ERRORS])
    assert prefix is not None
    assert prefix.requests == 3
    assert prefix.tallies[ERRORS.name][0].total == 3


def test_rows_of_several_workers_and_torn_lines_are_read_together(tmp_path: Path) -> None:
    folder = running(tmp_path, [build_row(0), build_row(2)], [build_row(1), build_row(1)])
    with (folder.work_path / "rows-1.ndjson").open("ab") as file:
        file.write(b'{"seq": 3, "outc')
    prefix = read_prefix(folder, build_scenario(), [ERRORS])
    assert prefix is not None
    assert prefix.requests == 3


def test_tokens_are_the_mean_of_what_was_sent(tmp_path: Path) -> None:
    rows = [
        build_row(0, input_tokens=10, output_tokens=20),
        build_row(1, input_tokens=None, output_tokens=10),
    ]
    prefix = read_prefix(running(tmp_path, rows), build_scenario(), [ERRORS])
    assert prefix is not None
    assert prefix.tokens_per_request == 20


def test_slices_of_fifty_are_bet_on_in_order(tmp_path: Path) -> None:
    rows = [build_row(i, outcome="timeout" if 50 <= i < 90 else "ok") for i in range(170)]
    prefix = read_prefix(running(tmp_path, rows), build_scenario(), [ERRORS])
    assert prefix is not None
    expected = bet_on_slices([0.0, 0.8, 0.0], 0.1)
    assert prefix.bets[ERRORS.name, ()] == pytest.approx(expected)
    assert expected > 0.4


def test_a_longer_prefix_never_takes_a_proof_back(tmp_path: Path) -> None:
    rows = [build_row(i, outcome="timeout" if i < 100 else "ok") for i in range(400)]
    short = read_prefix(running(tmp_path / "a", rows[:120]), build_scenario(), [ERRORS])
    long = read_prefix(running(tmp_path / "b", rows), build_scenario(), [ERRORS])
    assert short is not None
    assert long is not None
    assert long.bets[ERRORS.name, ()] >= short.bets[ERRORS.name, ()] > 0


def test_what_is_sealed_later_says_the_same(tmp_path: Path) -> None:
    rows = [build_row(i, outcome="timeout" if i % 7 == 0 else "ok") for i in range(200)]
    folder = running(tmp_path, rows)
    prefix = read_prefix(folder, build_scenario(), [ERRORS])
    assert prefix is not None
    seal(folder)
    with Reduction(folder, [ERRORS]) as reduction:
        (tally,) = reduction.tallies()[ERRORS.name]
    assert prefix.tallies[ERRORS.name] == (tally,)

"""Gaps as reports show them: judged phases alone, counts beside the ledger's streams, stalls exact."""

from __future__ import annotations

import json
from pathlib import Path

from runfolder_builders import MS, build_row, new_folder, write_work

from tfy_last9.adapters.runfolder.folder import RunFolder
from tfy_last9.adapters.runfolder.seal import seal
from tfy_last9.adapters.runfolder.token_gaps import read_token_gaps
from tfy_last9.model.pictures import TokenGaps
from tfy_last9.stats.histogram import Histogram

ROWS = [
    build_row(0, max_gap_ns=999 * MS),
    build_row(1, max_gap_ns=1000 * MS),
    build_row(2, max_gap_ns=None, chunks=1),
    build_row(3, max_gap_ns=7000 * MS, phase="warm-up"),
    build_row(4, target="claude", provider="anthropic", arm="canary"),
]


def counted(*gaps_ms: int, target: str = "openai", **where: str) -> dict[str, object]:
    histogram = Histogram()
    for gap_ms in gaps_ms:
        histogram.add(gap_ms * MS)
    place = {"phase": "steady", "target": target, "arm": None} | where
    return {**place, "buckets": histogram.buckets()}


def folder_with(tmp_path: Path, *gaps: dict[str, object]) -> RunFolder:
    folder = new_folder(tmp_path)
    write_work(folder, ROWS)
    sample = json.dumps({"worker": 0, "t_ns": 1, "gaps": gaps})
    (folder.work_path / "health-0.ndjson").write_text(sample + "\n")
    seal(folder)
    return folder


def by_target(tmp_path: Path, *gaps: dict[str, object]) -> dict[str, TokenGaps]:
    return {one.target: one for one in read_token_gaps(folder_with(tmp_path, *gaps))}


def test_streams_and_stalls_come_from_the_ledger_and_counts_from_the_buckets(
    tmp_path: Path,
) -> None:
    found = by_target(tmp_path, counted(*[20] * 98, 999, 1000))["openai"]
    assert (found.n, found.streams, found.stalled, found.longest_ms) == (100, 2, 1, 1000)
    assert sum(n for _, _, n in found.buckets) == 100
    assert found.provider == "openai"


def test_percentiles_are_the_bucket_that_holds_the_rank(tmp_path: Path) -> None:
    found = by_target(tmp_path, counted(*range(1, 101)))["openai"]
    for quantile, true_ms in zip(found.quantiles, (50, 95, 99), strict=True):
        assert quantile.low is not None
        assert quantile.high is not None
        assert quantile.low <= true_ms <= quantile.high
        assert abs(quantile.value - true_ms) <= true_ms / 32


def test_warm_up_counts_nowhere_and_arms_stay_apart(tmp_path: Path) -> None:
    found = by_target(
        tmp_path,
        counted(7000, phase="warm-up"),
        counted(30, 30, target="claude", arm="canary"),
    )
    assert found.keys() == {"claude"}
    assert (found["claude"].arm, found["claude"].n, found["claude"].streams) == ("canary", 2, 1)


def test_a_run_without_streams_has_none(tmp_path: Path) -> None:
    folder = new_folder(tmp_path)
    write_work(folder, ROWS)
    seal(folder)
    assert read_token_gaps(folder) == ()

"""Gaps between tokens: counts of all samples add up, each sample once."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
from runfolder_builders import build_row, new_folder, write_work

from tfy_last9.adapters.runfolder.gaps import read_gaps
from tfy_last9.adapters.runfolder.seal import seal
from tfy_last9.stats.histogram import Histogram, bounds


def sample(worker: int, t_ns: int, *gaps: int, target: str = "one") -> str:
    histogram = Histogram()
    for gap in gaps:
        histogram.add(gap)
    counted = {"phase": "steady", "target": target, "arm": None, "buckets": histogram.buckets()}
    return json.dumps({"worker": worker, "t_ns": t_ns, "gaps": [counted]}) + "\n"


def sealed(tmp_path: Path, lines: list[str]) -> dict[tuple[str, str, str | None], Histogram]:
    folder = new_folder(tmp_path)
    write_work(folder, [build_row(0)])
    (folder.work_path / "health-0.ndjson").write_text("".join(lines))
    seal(folder)
    if folder.gaps_path.is_file():
        rows = duckdb.sql(f"SELECT bucket, low_ns, below_ns - 1 FROM '{folder.gaps_path}'")
        for bucket, low, high in rows.fetchall():
            assert (low, high) == bounds(bucket)
    return read_gaps(folder)


def test_counts_of_workers_and_seconds_add_up_per_target(tmp_path: Path) -> None:
    gaps = (0, 5, 63, 64, 70, 20_000_000, 3_000_000_000)
    lines = [sample(0, 1, *gaps), sample(1, 1, *gaps), sample(0, 2, 5, target="two")]
    found = sealed(tmp_path, lines)
    assert found["steady", "one", None].total() == 2 * len(gaps)
    assert found["steady", "two", None].buckets() == [(5, 1)]


def test_a_sample_that_came_twice_counts_once_and_a_torn_one_not_at_all(tmp_path: Path) -> None:
    line = sample(0, 1, 7, 7)
    found = sealed(tmp_path, [line, line, sample(0, 2, 9)[:-25]])
    assert found["steady", "one", None].buckets() == [(7, 2)]


def test_samples_without_gaps_leave_none(tmp_path: Path) -> None:
    assert sealed(tmp_path, [json.dumps({"worker": 0, "t_ns": 1}) + "\n"]) == {}

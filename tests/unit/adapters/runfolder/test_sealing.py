"""Sealing: what the load process left becomes the ledger, and what is missing is counted."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import pytest
from runfolder_builders import (
    EPOCH_NS,
    RUN,
    S,
    build_manifest,
    build_missed,
    build_row,
    new_folder,
    swarm_json,
    write_work,
)

from tfy_last9.adapters.runfolder.folder import RunFolder
from tfy_last9.adapters.runfolder.seal import seal
from tfy_last9.arrivals.schedule import schedule
from tfy_last9.errors import BrokenRun
from tfy_last9.model.request import ledger_columns
from tfy_last9.model.run import Counters


def read(path: Path, columns: str = "*") -> list[tuple[object, ...]]:
    return duckdb.sql(f"SELECT {columns} FROM '{path}'").fetchall()


def test_rows_come_out_in_order_with_the_columns_of_the_contract(tmp_path: Path) -> None:
    folder = new_folder(tmp_path)
    write_work(folder, [build_row(2), build_row(0), build_missed(1)])
    manifest = seal(folder)
    assert read(folder.ledger_path, "seq, outcome") == [(0, "ok"), (1, "missed"), (2, "ok")]
    assert duckdb.sql(f"FROM '{folder.ledger_path}'").columns == list(ledger_columns())
    assert manifest.counters == Counters(offered=3, started=2, missed=1, finished=2, unreported=0)
    assert (manifest.ended, manifest.problems) == ("schedule", ())
    assert manifest.end_ns == EPOCH_NS + 3 * S
    assert not folder.work_path.exists()


def test_absent_is_null_and_not_zero(tmp_path: Path) -> None:
    folder = new_folder(tmp_path)
    write_work(folder, [build_row(0, output_tokens=None, cost_usd=None)])
    seal(folder)
    assert read(folder.ledger_path, "output_tokens, cost_usd") == [(None, None)]


def test_a_torn_last_line_is_tolerated_and_counted(tmp_path: Path) -> None:
    folder = new_folder(tmp_path)
    torn = json.dumps(build_row(1))[:-20]
    write_work(folder, [build_row(0)], swarm_json(2), tail=torn)
    manifest = seal(folder)
    assert read(folder.ledger_path, "seq") == [(0,)]
    assert manifest.counters is not None
    assert manifest.counters.unreported == 1
    assert any("1 ledger line(s) were torn" in problem for problem in manifest.problems)


def test_a_row_that_was_handed_over_twice_counts_once(tmp_path: Path) -> None:
    folder = new_folder(tmp_path)
    write_work(folder, [build_row(0), build_row(1), build_row(0)], swarm_json(2))
    manifest = seal(folder)
    assert read(folder.ledger_path, "seq") == [(0,), (1,)]
    assert manifest.problems == ()


def test_of_differing_copies_the_same_one_wins_whatever_the_order(tmp_path: Path) -> None:
    unfinished = build_row(0, started_ns=0, finished_ns=None, outcome="aborted")
    copies = [unfinished, build_row(0)]
    found = []
    for name, rows in (("a", copies), ("b", copies[::-1])):
        folder = new_folder(tmp_path / name)
        write_work(folder, rows, swarm_json(1))
        seal(folder)
        found.append(read(folder.ledger_path))
    assert found[0] == found[1]
    assert read(folder.ledger_path, "outcome") == [("ok",)]


def test_a_planned_request_without_a_row_is_unreported(tmp_path: Path) -> None:
    folder = new_folder(tmp_path)
    write_work(folder, [build_row(0), build_row(3)], swarm_json(2, offered=5))
    assert seal(folder).counters == Counters(5, 2, 0, 2, unreported=3)


def test_fewer_rows_than_a_worker_wrote_is_a_problem(tmp_path: Path) -> None:
    folder = new_folder(tmp_path)
    write_work(folder, [build_row(0)], swarm_json(3))
    problems = seal(folder).problems
    assert problems == ("worker 0 wrote 3 rows, only 1 are on disk",)


def test_what_a_lost_worker_did_not_report_is_rebuilt_from_the_seed(tmp_path: Path) -> None:
    folder = new_folder(tmp_path, build_manifest(expected_workers=2))
    plan = list(schedule(folder.read_manifest().scenario))
    lost = {"epoch_ns": 0, "rows": 0, "drained": False, "host": "host-b", "offered": 1}
    whole = {"epoch_ns": EPOCH_NS, "rows": len(plan[::2]), "drained": True, "offered": len(plan)}
    rows = [build_row(arrival.seq, worker=0) for arrival in plan[::2]]
    rows.append(build_row(3, worker=1))
    workers = [{"worker": 0, **whole}, {"worker": 1, **lost}]
    write_work(folder, rows, swarm_json(0, workers=workers, offered=len(plan)))
    manifest = seal(folder)
    missing = [arrival for arrival in plan[1::2] if arrival.seq != 3]
    assert manifest.counters is not None
    assert manifest.counters.unreported == len(missing) > 1
    found = read(folder.unreported_path, "seq, request_id, worker, epoch_ns + due_ns, outcome")
    assert found == [
        (one.seq, f"{RUN}.{one.seq}", 1, manifest.start_ns + one.due_ns, None) for one in missing
    ]
    assert duckdb.sql(f"FROM '{folder.unreported_path}'").columns == list(ledger_columns())


def test_of_a_run_that_was_stopped_only_what_was_offered_is_missing(tmp_path: Path) -> None:
    folder = new_folder(tmp_path)
    facts = {"worker": 0, "epoch_ns": 0, "rows": 0, "drained": False, "offered": 4}
    write_work(
        folder,
        [build_row(0), build_row(2)],
        swarm_json(0, workers=[facts], offered=4, ended="stopped"),
    )
    manifest = seal(folder)
    assert manifest.counters is not None
    assert manifest.counters.unreported == 2
    assert read(folder.unreported_path, "seq") == [(1,), (3,)]


def test_nothing_is_rebuilt_where_nothing_is_missing(tmp_path: Path) -> None:
    folder = new_folder(tmp_path)
    write_work(folder, [build_row(0)], swarm_json(1))
    seal(folder)
    assert not folder.unreported_path.exists()


@pytest.mark.parametrize("text", [None, '{"workers": [', "{}"])
def test_without_a_readable_report_the_run_broke_off(tmp_path: Path, text: str | None) -> None:
    """A crashed Locust must never look like a schedule that ended."""
    folder = new_folder(tmp_path)
    write_work(folder, [build_row(0), build_row(1)])
    report = folder.work_path / "swarm.json"
    report.unlink()
    if text is not None:
        report.write_text(text)
    manifest = seal(folder)
    assert manifest.ended is None
    assert any("swarm.json" in problem for problem in manifest.problems)
    assert manifest.counters == Counters(2, 2, 0, 2, 0)


def test_problems_of_the_load_process_are_kept(tmp_path: Path) -> None:
    folder = new_folder(tmp_path)
    stopped = {"target": "openai", "status": 401, "message": "no", "skipped": 7}
    report = swarm_json(1, problems=["budget ran out"], stopped_targets=[stopped], ended="stopped")
    write_work(folder, [build_row(0)], report)
    manifest = seal(folder)
    assert manifest.problems == ("budget ran out",)
    assert manifest.stopped_targets[0].skipped == 7
    assert manifest.ended == "stopped"


def test_rows_of_another_run_are_left_out_and_told(tmp_path: Path) -> None:
    folder = new_folder(tmp_path)
    write_work(folder, [build_row(0), build_row(1, run_id="other")], swarm_json(1))
    manifest = seal(folder)
    assert read(folder.ledger_path, "run_id") == [(RUN,)]
    assert any("another run" in problem for problem in manifest.problems)


def test_sealing_again_changes_nothing(tmp_path: Path) -> None:
    folder = new_folder(tmp_path)
    write_work(folder, [build_row(0)])
    first = seal(folder)
    files = {path.name: path.read_bytes() for path in folder.path.iterdir() if path.is_file()}
    assert seal(folder) == first
    assert files == {
        path.name: path.read_bytes() for path in folder.path.iterdir() if path.is_file()
    }


def test_a_crash_before_the_work_was_removed_is_made_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = new_folder(tmp_path)
    write_work(folder, [build_row(0)], swarm_json(2))
    with monkeypatch.context() as patch:
        patch.setattr("shutil.rmtree", lambda _: None)
        crashed = seal(folder)
    assert folder.work_path.exists()
    assert seal(folder) == crashed
    assert not folder.work_path.exists()


def test_a_crash_while_the_work_was_removed_loses_no_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Removing a folder takes several steps: what is left must not be sealed over the ledger."""
    folder = new_folder(tmp_path)
    write_work(folder, [build_row(0), build_row(1)], swarm_json(2))
    with monkeypatch.context() as patch:
        patch.setattr("shutil.rmtree", lambda work: [file.unlink() for file in work.iterdir()])
        crashed = seal(folder)
    assert seal(folder) == crashed
    assert len(read(folder.ledger_path)) == 2
    assert not folder.work_path.exists()


def test_a_load_process_that_wrote_nothing_leaves_an_empty_ledger(tmp_path: Path) -> None:
    folder = new_folder(tmp_path)
    (folder.work_path / "rows-0.ndjson").write_text("")
    manifest = seal(folder)
    assert read(folder.ledger_path) == []
    assert manifest.counters == Counters(0, 0, 0, 0, 0)
    assert manifest.ended is None


def test_no_work_and_no_ledger_is_a_broken_run(tmp_path: Path) -> None:
    folder = new_folder(tmp_path)
    folder.work_path.rmdir()
    with pytest.raises(BrokenRun, match="the load never started"):
        seal(folder)


def test_health_is_ordered_by_time_and_worker(tmp_path: Path) -> None:
    folder = new_folder(tmp_path)
    write_work(folder, [build_row(0)])
    for worker in (0, 1):
        lines = [{"worker": worker, "t_ns": t, "hub_lag_max_ns": 5} for t in (2, 1)]
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (folder.work_path / f"health-{worker}.ndjson").write_text(text + '{"worker": 0, "t_')
    seal(folder)
    assert read(folder.health_path, "t_ns, worker") == [(1, 0), (1, 1), (2, 0), (2, 1)]


def test_a_folder_with_a_quote_in_its_name_can_be_sealed(tmp_path: Path) -> None:
    folder: RunFolder = new_folder(tmp_path / "it's")
    write_work(folder, [build_row(0)])
    assert seal(folder).problems == ()

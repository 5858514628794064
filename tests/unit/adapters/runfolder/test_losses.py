"""Splits of what was lost: each adds up, and rows of killed workers come back from the seed."""

from dataclasses import replace

from runfolder_builders import (
    EPOCH_NS,
    build_manifest,
    build_page,
    build_record,
    build_row,
    build_scenario,
    build_span,
    build_trace,
    collect,
    new_folder,
    swarm_json,
    write_work,
)

from tfy_last9.adapters.runfolder.losses import DIMENSIONS
from tfy_last9.adapters.runfolder.reduce import Reduction
from tfy_last9.adapters.runfolder.seal import seal
from tfy_last9.arrivals.schedule import schedule
from tfy_last9.model.run import SecondOracle
from tfy_last9.model.trace import Role


def accounting(parent, rows, spans, offered=None, workers=1, oracle=None):
    manifest = build_manifest(scenario=build_scenario(), expected_workers=workers)
    folder = new_folder(parent, manifest)
    drained = [
        {"worker": n, "epoch_ns": EPOCH_NS, "rows": 0, "drained": True} for n in range(workers)
    ]
    report = swarm_json(len(rows), offered=offered or len(rows), workers=drained)
    write_work(folder, rows, report | {"expected_workers": workers})
    seal(folder)
    collect(folder, build_page(spans))
    if oracle is not None:
        folder.write_evidence(build_record(oracle=oracle))
    with Reduction(folder, ()) as reduction:
        return reduction.accounting()


def split(found, by):
    (one,) = [item for item in found.losses if item.by == by]
    return {
        part.value: (part.late, part.lost, part.conflicts, part.unreported) for part in one.parts
    }


def test_lost_traces_are_split_by_provider_minute_worker_status_and_size(tmp_path):
    rows = [
        build_row(0),
        build_row(1),
        build_row(65, worker=1, provider="gemini", target="gemini"),
        build_row(66, outcome="timeout", status=None),
    ]
    rows = [row | {"seq": seq} for seq, row in enumerate(rows)]
    found = accounting(tmp_path, rows, build_trace(0), workers=2)
    assert (found.expected_traces, found.lost) == (4, 3)
    assert split(found, "provider") == {"gemini": (0, 1, 0, 0), "openai": (0, 2, 0, 0)}
    assert split(found, "minute") == {"0": (0, 1, 0, 0), "1": (0, 2, 0, 0)}
    assert split(found, "worker") == {"0": (0, 2, 0, 0), "1": (0, 1, 0, 0)}
    assert split(found, "status") == {"ok 200": (0, 2, 0, 0), "timeout": (0, 1, 0, 0)}
    assert split(found, "size_band") == {"0-99": (0, 3, 0, 0)}


def test_every_split_adds_up_to_the_sums(tmp_path):
    rows = [build_row(seq) for seq in range(6)]
    other = [
        replace(span, request_id="r1.99") if span.request_id else span for span in build_trace(3)
    ]
    found = accounting(tmp_path, rows, [*build_trace(0), *other], offered=9)
    sums = (found.late, found.lost, found.conflicts, found.unreported)
    assert sums == (0, 4, 1, 3)
    assert {item.by for item in found.losses} == set(DIMENSIONS)
    for one in found.losses:
        added = [sum(column) for column in zip(*split(found, one.by).values(), strict=True)]
        assert tuple(added) == sums


def test_rows_of_a_killed_worker_are_rebuilt_from_the_seed(tmp_path):
    scenario = build_scenario()
    plan = [arrival for arrival, _ in zip(schedule(scenario), range(20), strict=False)]
    rows = [
        build_row(a.seq, phase=a.phase, worker=0, target=scenario.targets[a.target].name)
        for a in plan
        if a.seq % 2 == 0
    ]
    spans = [span for row in rows for span in build_trace(row["seq"])]
    found = accounting(tmp_path, rows, spans, offered=20, workers=2)
    gone = [arrival for arrival in plan if arrival.seq % 2]
    assert found.unreported == 10
    assert split(found, "worker") == {"1": (0, 0, 0, 10)}
    assert split(found, "status") == {"unreported": (0, 0, 0, 10)}
    for by, name in (
        ("phase", lambda a: a.phase),
        ("provider", lambda a: scenario.targets[a.target].provider),
    ):
        expected = {value: sum(name(a) == value for a in gone) for value in map(name, gone)}
        assert {value: counts[3] for value, counts in split(found, by).items()} == expected


def test_a_trace_without_its_model_span_is_found_but_short_of_a_role(tmp_path):
    found = accounting(
        tmp_path, [build_row(0), build_row(1)], [*build_trace(0), build_span(1, Role.ROOT)]
    )
    assert (found.lost, found.losses, found.absent_roles) == (0, (), (("model", 1),))


def test_without_any_loss_there_is_nothing_to_split(tmp_path):
    found = accounting(tmp_path, [build_row(0)], build_trace(0))
    assert (found.losses, found.absent_roles) == ((), ())


def test_the_second_oracle_says_which_side_lost_a_trace(tmp_path):
    oracle = SecondOracle(asked=("r1.1", "r1.2"), found=("r1.2",))
    found = accounting(tmp_path, [build_row(n) for n in range(4)], build_trace(0), oracle=oracle)
    assert found.lost == 3
    assert split(found, "hop") == {
        "before the export": (0, 1, 0, 0),
        "between export and Last9": (0, 1, 0, 0),
        "not asked": (0, 1, 0, 0),
    }


def test_without_a_second_oracle_no_side_is_blamed(tmp_path):
    found = accounting(tmp_path, [build_row(0)], [])
    assert {item.by for item in found.losses} == set(DIMENSIONS)

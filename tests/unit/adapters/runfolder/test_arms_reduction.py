"""Both arms of a run, and two runs as arms, against counts written by hand."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

from runfolder_builders import (
    MS,
    Ask,
    build_page,
    build_row,
    build_scenario,
    build_span,
    build_trace,
    collect,
    sealed_folder,
)

from tfy_last9.adapters.runfolder.arms import latency_limits, read_two_runs
from tfy_last9.adapters.runfolder.asked import attribute_names
from tfy_last9.adapters.runfolder.reduce import Reduction
from tfy_last9.model.canary import ArmCounts, ArmTally
from tfy_last9.model.objective import Objective
from tfy_last9.model.scenario import Arm, Arms
from tfy_last9.model.trace import Span
from tfy_last9.stats.shift import STEP

Row = dict[str, object]
ARMS = Arms(Arm("baseline"), Arm("canary"), mirror=True)


def row(seq: int, arm: str | None, ttft_ms: int = 300, **changes: object) -> Row:
    due = 1000 * MS
    times = {"due_ns": due, "started_ns": due, "first_token_ns": due + ttft_ms * MS}
    return build_row(seq, arm=arm, **(times | changes))


def tallies(
    tmp_path: Path, rows: list[Row], *objectives: Objective, arms: Arms = ARMS
) -> tuple[ArmTally, ...]:
    folder = sealed_folder(tmp_path, rows, build_scenario(arms=arms))
    collect(folder, build_page([]))
    with Reduction(folder, objectives) as reduction:
        return reduction.arms()


def test_requests_are_counted_per_arm(tmp_path: Path) -> None:
    rows = [
        row(0, "baseline", input_tokens=10, cached_tokens=4),
        row(1, "canary", input_tokens=10, cached_tokens=None),
        row(2, "canary", outcome="timeout", first_token_ns=None, input_tokens=None),
        row(3, "baseline", ttft_ms=2000, input_tokens=10, cached_tokens=0),
    ]
    (found,) = tallies(tmp_path, rows, Ask().threshold("ttft_ms", 1500))
    assert found.provider == "openai"
    assert found.baseline == ArmCounts(2, 0, 2, 1, 20, 4)
    assert found.canary == ArmCounts(2, 1, 2, 1, 10, 0)
    assert found.slow_means == "beyond ttft 1500 ms"


def test_mirrored_requests_are_paired_by_their_arrival(tmp_path: Path) -> None:
    rows = [
        row(0, "canary", 330),
        row(1, "baseline", 300),
        row(2, "baseline", 200),
        row(3, "canary", 200),
    ]
    (found,) = tallies(tmp_path, rows)
    ttft = found.latencies[0]
    slower = round(math.log(330) / STEP) - round(math.log(300) / STEP)
    assert ttft.differences == ((0, 1), (slower, 1))
    assert ttft.canary == ((round(math.log(200) / STEP), 1), (round(math.log(330) / STEP), 1))


def test_without_mirroring_neighbours_are_no_pairs(tmp_path: Path) -> None:
    rows = [row(0, "canary"), row(1, "baseline")]
    (found,) = tallies(tmp_path, rows, arms=replace(ARMS, mirror=False))
    assert found.latencies[0].differences == ()


def test_a_run_without_arms_has_none(tmp_path: Path) -> None:
    folder = sealed_folder(tmp_path, [row(0, None)], build_scenario())
    collect(folder, build_page([]))
    with Reduction(folder, ()) as reduction:
        assert reduction.arms() == ()


def test_warm_up_is_not_compared(tmp_path: Path) -> None:
    rows = [row(0, "canary", phase="warm-up"), row(1, "baseline"), row(2, "canary")]
    (found,) = tallies(tmp_path, rows)
    assert (found.baseline.sent, found.canary.sent) == (1, 1)


def test_without_any_latency_limit_the_slowest_of_both_arms_are_slow(tmp_path: Path) -> None:
    rows = [
        row(i, "canary" if i % 2 else "baseline", finished_ns=(1500 + i) * MS) for i in range(200)
    ]
    (found,) = tallies(tmp_path, rows)
    assert found.baseline.slow + found.canary.slow == 2
    assert found.slow_means == "among the slowest 1 % of both arms"


def test_limits_come_from_the_slos_on_every_request() -> None:
    asks = [
        Ask().threshold("ttft_ms", 1500),
        Ask(group_by=("provider",)).threshold("total_ms", 6000),
        Ask().threshold("output_tokens", 10),
        Ask().ratio(outcome="timeout"),
    ]
    assert [limit[::2] for limit in latency_limits(asks)] == [("total_ms", 6000), ("ttft_ms", 1500)]


def test_two_runs_are_paired_by_their_place_in_the_schedule(tmp_path: Path) -> None:
    baseline = sealed_folder(tmp_path / "a", [row(0, None, 300), row(1, None, 200)])
    canary = sealed_folder(tmp_path / "b", [row(1, None, 400), row(0, None, 300)])
    (found,) = read_two_runs(baseline, canary, ())
    doubled = round(math.log(400) / STEP) - round(math.log(200) / STEP)
    assert found.latencies[0].differences == ((0, 1), (doubled, 1))
    assert (found.baseline.sent, found.canary.sent) == (2, 2)


OLD, NEW = "openai-main/gpt-4o", "openai-canary/gpt-4o"
BY_MODEL = Arms(Arm("baseline", served=OLD), Arm("canary", served=NEW), by="resolved_model")


def served(tmp_path: Path, rows: list[Row], spans: list[Span], arms: Arms) -> tuple[ArmTally, ...]:
    folder = sealed_folder(tmp_path, rows, build_scenario(arms=arms))
    collect(folder, build_page(spans))
    with Reduction(folder, []) as reduction:
        return reduction.arms()


def test_arms_are_what_served_and_not_what_was_asked(tmp_path: Path) -> None:
    """The header wins; without one the Model spans tell, if they agree; the rest has no arm."""
    rows = [
        row(0, None, resolved_model=OLD),
        row(1, None, resolved_model=NEW),
        row(2, None, resolved_model=OLD),
        row(3, None, outcome="timeout", first_token_ns=None),  # its trace shows the canary
        row(4, None),  # fell back from one to the other, no header
        row(5, None, resolved_model="openai-main/another"),
        row(6, None),  # no trace
    ]
    spans = [
        *build_trace(1, model=OLD),
        *build_trace(3, model=NEW),
        *build_trace(4, model=OLD),
        replace(build_span(4, model=NEW), span_id="00000004deadbeef"),
    ]
    (found,) = served(tmp_path, rows, spans, BY_MODEL)
    assert (found.baseline.sent, found.canary.sent, found.untold) == (2, 2, 3)
    assert (found.baseline.errors, found.canary.errors) == (0, 1)


def test_arms_can_be_told_by_an_attribute_of_the_gateway(tmp_path: Path) -> None:
    arms = Arms(Arm("baseline", served="a"), Arm("canary", served="b"), by="deployment")
    rows = [row(seq, None) for seq in range(5)]
    spans = [
        span
        for seq, side in enumerate("abbc")
        for span in build_trace(seq, resource={"deployment": side})
    ]
    (found,) = served(tmp_path, rows, spans, arms)
    assert (found.baseline.sent, found.canary.sent, found.untold) == (1, 2, 2)


def test_what_tells_the_arms_is_fetched() -> None:
    arms = Arms(Arm("baseline", served="a"), Arm("canary", served="b"), by="deployment")
    assert attribute_names([], arms) == ("deployment",)
    assert attribute_names([], BY_MODEL) == ()
    assert attribute_names([]) == ()

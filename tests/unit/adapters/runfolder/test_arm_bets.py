"""Betting on two arms while they run: by slices of pairs and of bad events, against rows written by hand."""

import math
from dataclasses import replace

import pytest
from runfolder_builders import (
    MS,
    Ask,
    build_page,
    build_row,
    build_scenario,
    collect,
    sealed_folder,
)

from tfy_last9.adapters.runfolder.arm_bets import PAIRS, REQUESTS
from tfy_last9.adapters.runfolder.reduce import Reduction
from tfy_last9.model.scenario import Arm, Arms, OnInconclusive, Policy
from tfy_last9.stats.sequential import BOLD_STAKES

ARMS = Arms(Arm("baseline"), Arm("canary"), mirror=True)
GROUP = (("provider", "openai"),)
POLICY = Policy(OnInconclusive.FAIL, early_stop=True)


def row(seq, arm, ttft_ms=300, **changes):
    due = 1000 * MS
    times = {"due_ns": due, "started_ns": due, "first_token_ns": due + ttft_ms * MS}
    return build_row(seq, arm=arm, **(times | changes))


def pairs(count, slower=1.0):
    """Mirrored pairs; prompts differ, and the canary takes so many times as long."""
    for pair in range(count):
        usual = 200 + 10 * (pair % 7)
        yield row(2 * pair, "baseline", usual)
        yield row(2 * pair + 1, "canary", round(usual * slower))


def bets(tmp_path, rows, *objectives, arms=ARMS):
    folder = sealed_folder(tmp_path, list(rows), build_scenario(arms=arms, policy=POLICY))
    collect(folder, build_page([]))
    with Reduction(folder, objectives) as reduction:
        return reduction.bets()


def won(slices):
    """Return the log wealth after so many slices in which the canary had everything."""
    return math.log(sum((1 + stake) ** slices for stake in BOLD_STAKES) / len(BOLD_STAKES))


def test_a_canary_beyond_the_margin_wins_every_slice_of_pairs(tmp_path):
    found = bets(tmp_path, pairs(5 * PAIRS + 3, slower=1.2))
    assert found["canary-ttft", GROUP] == pytest.approx(won(5), rel=1e-9)


def test_a_difference_within_the_margin_is_no_sign(tmp_path):
    assert bets(tmp_path, pairs(5 * PAIRS, slower=1.05))["canary-ttft", GROUP] == 0.0


def test_without_mirrored_requests_the_nth_of_one_arm_meets_the_nth_of_the_other(tmp_path):
    rows = [row(seq, ("baseline", "canary")[seq % 2], (200, 400)[seq % 2]) for seq in range(80)]
    found = bets(tmp_path, rows, arms=replace(ARMS, mirror=False))
    assert found["canary-ttft", GROUP] == pytest.approx(won(2), rel=1e-9)


def test_bad_events_of_the_canary_alone_win_from_a_baseline_without_any(tmp_path):
    failed = {"outcome": "provider_error", "status": 503}
    rows = [
        row(seq, arm, **(failed if arm == "canary" and seq % 10 == 1 else {}))
        for seq in range(3 * REQUESTS)
        for arm in [("baseline", "canary")[seq % 2]]
    ]
    assert bets(tmp_path, rows)["canary-errors", GROUP] == pytest.approx(won(3), rel=1e-9)


def test_a_burst_counts_as_one_slice_however_long_it_is(tmp_path):
    """Event by event, twenty errors in a row would be twenty proofs."""
    failed = {"outcome": "provider_error", "status": 503}
    rows = [
        row(seq, arm, **(failed if arm == "canary" and seq < 40 else {}))
        for seq in range(4 * REQUESTS)
        for arm in [("baseline", "canary")[seq % 2]]
    ]
    assert bets(tmp_path, rows)["canary-errors", GROUP] == pytest.approx(won(1), rel=1e-9)


def test_slow_is_bet_on_only_where_an_slo_says_what_slow_is(tmp_path):
    rows = list(pairs(REQUESTS, slower=1.2))
    assert ("canary-tail", GROUP) not in bets(tmp_path / "without", rows)
    limit = Ask().threshold("ttft_ms", 300)
    found = bets(tmp_path / "with", rows, limit)
    assert found["canary-tail", GROUP] > 0.0

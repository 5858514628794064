"""What a gate refuses before it sends anything."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from tfy_last9.adapters.files.openslo import load_objectives
from tfy_last9.adapters.files.scenario import load_scenario
from tfy_last9.adapters.runfolder.spending import Spending
from tfy_last9.cli.planning import check_decidable, describe, smallest_changes
from tfy_last9.cli.refusing import check_out
from tfy_last9.errors import ConfigurationError, Undecidable
from tfy_last9.judge.decide import needs_last9

ROOT = Path(__file__).parents[3]
SCENARIO = load_scenario(ROOT / "scenarios" / "smoke.yaml")
OBJECTIVES = load_objectives(ROOT / "slo")


def test_a_run_that_could_not_fail_is_not_started():
    """It would end as ERROR anyway, after it spent the money."""
    lenient = tuple(replace(one, critical=False) for one in OBJECTIVES)
    with pytest.raises(Undecidable, match="could not fail"):
        check_decidable(SCENARIO, lenient, client_only=False)


def test_what_needs_last9_decides_nothing_without_it():
    on_traces = tuple(one for one in OBJECTIVES if needs_last9(one))
    check_decidable(SCENARIO, on_traces, client_only=False)
    with pytest.raises(Undecidable) as refused:
        check_decidable(SCENARIO, on_traces, client_only=True)
    assert "client-ledger" in refused.value.hint


@pytest.mark.parametrize("taken", [True, False])
def test_where_no_run_can_be_kept_nothing_is_sent(tmp_path, taken):
    file = tmp_path / "runs"
    file.write_text("")
    with pytest.raises(ConfigurationError, match="cannot be written"):
        check_out(file if taken else file / "below")


def test_the_folder_for_runs_is_made(tmp_path):
    check_out(tmp_path / "new" / "runs")
    assert list((tmp_path / "new" / "runs").iterdir()) == []


def strict(target):
    return tuple(replace(one, target=target) for one in OBJECTIVES if one.name == "client-errors")


@pytest.mark.parametrize("place", [0, 1])
def test_the_smallest_change_makes_the_plan_decidable_and_little_less_does_not(place):
    objectives = strict(0.998)
    change = smallest_changes(SCENARIO, objectives)[place]
    number = float(re.search(r"--(?:duration|rate) (\d+)", change).group(1))

    def is_decided(number):
        judged, warm = (phase.judged for phase in SCENARIO.phases), SCENARIO.phases[0]
        assert list(judged) == [False, True]
        steady = SCENARIO.phases[1]
        if place == 0:
            phases = (warm, replace(steady, duration_s=number))
        else:
            phases = (replace(warm, rate_per_s=number), replace(steady, rate_per_s=number))
        try:
            check_decidable(replace(SCENARIO, phases=phases), objectives, client_only=False)
        except Undecidable:
            return False
        return True

    assert is_decided(number)
    assert not is_decided(0.9 * number)


def test_asking_less_names_a_target_that_the_planned_requests_can_prove():
    *_, change = smallest_changes(SCENARIO, strict(0.999))
    target = float(change.rsplit(" ", 1)[1])
    check_decidable(SCENARIO, strict(target), client_only=False)
    with pytest.raises(Undecidable) as refused:
        check_decidable(SCENARIO, strict(target + 0.002), client_only=False)
    assert "--duration" in refused.value.hint


def test_a_plan_that_decides_everything_needs_no_change():
    assert smallest_changes(SCENARIO, OBJECTIVES) == []


def test_the_price_of_a_plan_is_that_of_a_run_like_it():
    like = {one.name: Spending(one.model, 30.0, 20.0, 0.001) for one in SCENARIO.targets}
    told, _ = describe(SCENARIO, OBJECTIVES, like)
    assert "about 88,500 input tokens, 59,000 output tokens, 2.95 USD" in told
    like["gemini"] = Spending("gemini-main/other", 30.0, 20.0, 0.001)
    told, _ = describe(SCENARIO, OBJECTIVES, like)
    assert "2.21 USD (without gemini)" in told
    assert "price: unknown" in describe(SCENARIO, OBJECTIVES)[0]
    assert "served no request" in describe(SCENARIO, OBJECTIVES, {})[0]

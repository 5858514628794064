"""What is written is a scenario that loads, and says what it stands for."""

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[2] / "arrivals"))

from test_replayed import Lengths, Route, traffic

from tfy_last9.adapters.files.scenario import load_scenario
from tfy_last9.adapters.files.scenario_writing import prompts, scenario_text, write_scenario
from tfy_last9.arrivals.replayed import replayed
from tfy_last9.arrivals.schedule import planned
from tfy_last9.cli.from_last9 import Wish, fitting
from tfy_last9.errors import ConfigurationError


def written(tmp_path, seen=None, scale=5.0, duration_s=120.0):
    seen = seen or traffic()
    replay = replayed(seen, scale=scale, duration_s=duration_s)
    path = tmp_path / "deep" / "production.yaml"
    write_scenario(path, scenario_text(replay, seen, name="production", seed=4))
    return replay, path


def test_the_file_loads_and_plans_what_was_promised(tmp_path):
    replay, path = written(tmp_path)
    scenario = load_scenario(path)
    counts = planned(scenario)
    assert counts.total() == pytest.approx(replay.requests, rel=0.25)
    by_model = {}
    for target in scenario.targets:
        sent = sum(n for (_, name), n in counts.items() if name == target.name)
        by_model[target.model] = by_model.get(target.model, 0) + sent / counts.total()
    assert by_model["openai-main/gpt-4o-mini"] == pytest.approx(0.6, abs=0.05)
    assert scenario.judged_phases == ("production",)


def test_a_short_one_has_a_single_rate(tmp_path):
    _, path = written(tmp_path, duration_s=6.0)
    assert load_scenario(path).curve is None


def test_a_virtual_model_is_written_with_what_it_may_reach(tmp_path):
    seen = traffic(routes=(Route("prod/chat", 10, ("openai-main/gpt-4o-mini",)),))
    _, path = written(tmp_path, seen)
    assert load_scenario(path).targets[0].may_reach == ("openai",)


def test_the_heading_says_from_what_and_at_which_price(tmp_path):
    _, path = written(tmp_path)
    head = path.read_text().partition("name:")[0]
    assert "from 1,000 requests between" in head
    assert "1970-01-01 00:00:00" in head
    assert "USD by production's own prices" in head


def test_prompts_are_as_long_as_production_and_nobodys_words():
    short, long = prompts((20, 400), seed=1)
    assert len(short.split()) == pytest.approx(20 * 0.75, abs=2)
    assert len(long.split()) == pytest.approx(400 * 0.75, abs=2)
    assert prompts((20, 400), seed=1) == [short, long]


def test_a_prompt_beyond_measure_is_cut_and_said(tmp_path):
    _, path = written(tmp_path, traffic(input=Lengths((10, 1_000_000), 1_000_010, 2)))
    assert path.stat().st_size < 100_000
    assert "Prompts are cut at 8,000 tokens" in path.read_text()


def test_a_budget_chooses_the_scale():
    replay = fitting(traffic(), Wish(None, 600, 0.1))
    assert 0.09 < replay.usd <= 0.1


def test_a_scale_beyond_its_budget_is_refused_with_one_that_fits():
    with pytest.raises(ConfigurationError, match="is above --budget-usd") as caught:
        fitting(traffic(), Wish(1.0, 600, 0.1))
    scale = float(caught.value.hint.split()[1])
    assert fitting(traffic(), Wish(scale, 600, 0.1)).scale == scale


def test_no_budget_is_promised_where_prices_are_unknown():
    from dataclasses import replace

    seen = traffic()
    unpriced = tuple(replace(one, priced=0, cost_usd=0.0) for one in seen.calls)
    with pytest.raises(ConfigurationError, match="carry no price"):
        fitting(replace(seen, calls=unpriced), Wish(None, 600, 1.0))

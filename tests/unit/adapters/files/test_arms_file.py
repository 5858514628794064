from pathlib import Path

import pytest

from tfy_last9.adapters.files.scenario import load_scenario, scenario_from_json, scenario_to_json
from tfy_last9.arrivals.schedule import schedule
from tfy_last9.errors import FileProblems
from tfy_last9.model.scenario import Cache, Margins

CANARY = Path(__file__).parents[4] / "scenarios" / "canary.yaml"


def changed(tmp_path, old, new):
    text = CANARY.read_text()
    assert old in text
    path = tmp_path / "scenario.yaml"
    path.write_text(text.replace(old, new))
    return path


def complaint(path):
    with pytest.raises(FileProblems) as caught:
        load_scenario(path)
    return str(caught.value)


def test_the_canary_scenario_names_both_arms():
    scenario = load_scenario(CANARY)
    assert [arm.name for arm in scenario.sides] == ["baseline", "canary"]
    assert scenario.arms.mirror
    assert scenario.arms.margins == Margins(0.10, 0.015, 0.01)
    assert scenario.cache is Cache.COLD
    assert scenario_from_json(scenario_to_json(scenario)) == scenario


def test_an_arm_changes_the_target_it_is_applied_to(tmp_path):
    path = changed(
        tmp_path, "  baseline: {}", "  baseline: {headers: {x-arm: a}, body: {temperature: 0}}"
    )
    scenario = load_scenario(path)
    baseline, canary = (arm.applied_to(scenario.targets[0]) for arm in scenario.sides)
    assert baseline.headers == {"x-arm": "a"}
    assert baseline.body == {"temperature": 0}
    assert baseline.model == "openai-main/gpt-4o-mini"
    assert canary.model == "openai-canary/gpt-4o-mini"
    assert canary.provider == baseline.provider == "openai"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("latency: 10%", "latency: 0.1", 'expected a percentage such as "10%"'),
        ("latency: 10%", "latency: 100%", "above 0 % and below 100 %"),
        ("  baseline: {}", "  baseline: {gateway: https://g.example}", "NAME of an environment"),
        ("openai: openai-canary", "opneai: openai-canary", 'no target is called "opneai"'),
        ("  mirror: true", "  miror: true", "miror"),
        ("cache: cold", "cache: chilly", "expected 'as-is', 'cold' or 'warm'"),
    ],
)
def test_a_mistake_in_the_arms_is_named(tmp_path, old, new, message):
    assert message in complaint(changed(tmp_path, old, new))


def test_two_equal_arms_are_refused(tmp_path):
    text = CANARY.read_text()
    start, end = text.index("    models:"), text.index("  mirror:")
    path = tmp_path / "scenario.yaml"
    path.write_text((text[:start] + text[end:]).replace("  canary:\n", "  canary: {}\n"))
    assert "only chance could differ" in complaint(path)


def test_warm_caches_need_a_phase_that_warms_them(tmp_path):
    path = changed(tmp_path, "cache: cold", "cache: warm")
    assert load_scenario(path).cache is Cache.WARM
    path.write_text(path.read_text().replace(", judged: false", ""))
    assert "judged: false" in complaint(path)


SPLIT = """arms:
  by: resolved_model
  baseline: {served: openai-main/gpt-4o-mini}
  canary: {served: openai-canary/gpt-4o-mini}
"""


def split(tmp_path, old="", new=""):
    text = (CANARY.parents[1] / "tests" / "data" / "short.yaml").read_text()
    path = tmp_path / "scenario.yaml"
    path.write_text(text + SPLIT.replace(old, new) if old else text + SPLIT)
    return path


def test_a_stream_that_the_gateway_splits_is_sent_once(tmp_path):
    scenario = load_scenario(split(tmp_path))
    assert scenario.sides == ()
    assert {arrival.arm for arrival in schedule(scenario)} == {None}
    assert (scenario.arms.by, scenario.arms.canary.served) == (
        "resolved_model",
        "openai-canary/gpt-4o-mini",
    )
    assert scenario_from_json(scenario_to_json(scenario)) == scenario


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("  by: resolved_model\n", "", "`served` needs `by: resolved_model`"),
        ("{served: openai-canary/gpt-4o-mini}", "{}", "an arm needs `served`"),
        ("openai-canary", "openai-main", "only chance could differ"),
        ("  by:", "  mirror: true\n  by:", "the gateway splits one stream"),
        ("mini}\n  canary", "mini, headers: {x: y}}\n  canary", "told by `served` alone"),
    ],
)
def test_a_mistake_in_told_arms_is_named(tmp_path, old, new, message):
    assert message in complaint(split(tmp_path, old, new))

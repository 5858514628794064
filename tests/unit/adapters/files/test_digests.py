from dataclasses import replace
from pathlib import Path

from tfy_last9.adapters.files.digests import comparability_hash, scenario_digest, slo_digest
from tfy_last9.adapters.files.scenario import load_scenario

SCENARIO = load_scenario(Path(__file__).parents[4] / "scenarios/smoke.yaml")


def test_limits_do_not_make_runs_incomparable_but_are_part_of_the_scenario():
    other = replace(SCENARIO, limits=replace(SCENARIO.limits, users=7))
    assert comparability_hash(other) == comparability_hash(SCENARIO)
    assert scenario_digest(other) != scenario_digest(SCENARIO)


def test_other_traffic_is_not_comparable():
    other = replace(SCENARIO, seed=SCENARIO.seed + 1)
    assert comparability_hash(other) != comparability_hash(SCENARIO)


def test_the_slo_digest_sees_content_and_names(tmp_path):
    file = tmp_path / "a.yaml"
    file.write_text("x")
    first = slo_digest(tmp_path)
    file.write_text("y")
    second = slo_digest(tmp_path)
    file.rename(tmp_path / "b.yaml")
    assert len({first, second, slo_digest(tmp_path)}) == 3


def test_moving_a_byte_between_files_changes_the_slo_digest(tmp_path):
    """Lengths are hashed too, so that contents cannot slide from one file into the next."""
    (tmp_path / "a.yaml").write_text("xy")
    (tmp_path / "b.yaml").write_text("z")
    first = slo_digest(tmp_path)
    (tmp_path / "a.yaml").write_text("x")
    (tmp_path / "b.yaml").write_text("yz")
    assert slo_digest(tmp_path) != first

"""A path that is not there is answered with the one that was probably meant."""

import pytest

from tfy_last9.adapters.files.nearest import nearest_path
from tfy_last9.adapters.files.openslo import load_objectives
from tfy_last9.adapters.files.scenario import load_scenario
from tfy_last9.adapters.runfolder.folder import RunFolder
from tfy_last9.errors import BrokenRun, FileProblems


@pytest.fixture
def folder(tmp_path):
    for name in ("smoke.yaml", "client.yaml"):
        (tmp_path / name).write_text("x")
    (tmp_path / "20261123-101500-smoke-ab12cd").mkdir()
    return tmp_path


def test_a_scenario(folder):
    with pytest.raises(FileProblems, match=r"did you mean .*/smoke\.yaml\?"):
        load_scenario(folder / "smok.yaml")


def test_an_slo_file(folder):
    with pytest.raises(FileProblems, match=r"did you mean .*/client\.yaml\?"):
        load_objectives(folder / "clint.yaml")


def test_a_run(folder):
    with pytest.raises(BrokenRun) as caught:
        RunFolder(folder / "20261123-101500-smoke-ab12ce").read_manifest()
    assert caught.value.hint.endswith("20261123-101500-smoke-ab12cd?")


def test_nothing_near_is_nothing(folder):
    assert nearest_path(folder / "quite-different") is None
    assert nearest_path(folder / "none" / "smoke.yaml") is None

"""`init` in an empty folder, and in one that holds files of somebody's own."""

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "arrivals"))

from test_replayed import traffic

from tfy_last9.adapters.files.scenario import load_scenario
from tfy_last9.cli import from_last9, starting
from tfy_last9.cli.lint import lint_paths
from tfy_last9.errors import BackendUnavailable, BrokenRun


@pytest.fixture(autouse=True)
def nobody(monkeypatch, tmp_path):
    """No settings of whoever runs the tests."""
    monkeypatch.delenv("LAST9_REFRESH_TOKEN", raising=False)
    monkeypatch.chdir(tmp_path)


def test_the_samples_are_copied_and_are_free_of_mistakes(tmp_path, capsys):
    starting.init(tmp_path / "new")
    found = {path.name for path in (tmp_path / "new").iterdir()}
    assert found == {"scenarios", "slo", "locustfiles"}
    assert (tmp_path / "new" / "locustfiles" / "chat.py").is_file()
    lint_paths([tmp_path / "new" / "scenarios", tmp_path / "new" / "slo"])
    assert "tfy-last9 gate scenarios/smoke.yaml --sandbox" in capsys.readouterr().out


def test_nothing_is_overwritten(tmp_path, capsys):
    mine = tmp_path / "scenarios" / "smoke.yaml"
    mine.parent.mkdir()
    mine.write_text("mine")
    starting.init(tmp_path)
    assert mine.read_text() == "mine"
    assert (tmp_path / "slo" / "client.yaml").is_file()
    assert f"kept    {mine}" in capsys.readouterr().err


def test_an_incomplete_installation_is_said(monkeypatch, tmp_path):
    monkeypatch.setattr(starting, "PACKAGE", tmp_path / "pkg")
    with pytest.raises(BrokenRun, match="incomplete"):
        starting.samples_root()


def test_with_a_token_the_first_scenario_is_what_production_sends(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("LAST9_REFRESH_TOKEN", "a.b.c")
    monkeypatch.setattr(from_last9, "read_traffic", lambda _: traffic())
    starting.init(tmp_path / "new")
    made = load_scenario(tmp_path / "new" / "scenarios" / "production.yaml")
    assert {target.model for target in made.targets} == {
        "openai-main/gpt-4o-mini",
        "anthropic-main/claude-sonnet-4-6",
    }
    said = capsys.readouterr()
    assert "price: about" in said.err
    assert f"tfy-last9 gate {tmp_path / 'new' / 'scenarios' / 'production.yaml'}" in said.out


def test_a_last9_that_does_not_answer_is_said_and_the_samples_are_there(
    monkeypatch, tmp_path, capsys
):
    def fails(_):
        raise BackendUnavailable("ConnectError: nobody there")

    monkeypatch.setenv("LAST9_REFRESH_TOKEN", "a.b.c")
    monkeypatch.setattr(from_last9, "read_traffic", fails)
    starting.init(tmp_path / "new")
    assert "nobody there" in capsys.readouterr().err
    assert (tmp_path / "new" / "scenarios" / "smoke.yaml").is_file()
    assert not (tmp_path / "new" / "scenarios" / "production.yaml").exists()

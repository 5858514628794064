"""`init` in an empty folder, and in one that holds files of somebody's own."""

import pytest

from tfy_last9.cli import starting
from tfy_last9.cli.lint import lint_paths
from tfy_last9.errors import BrokenRun


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
    monkeypatch.setattr(starting.tfy_last9, "__file__", str(tmp_path / "pkg" / "__init__.py"))
    with pytest.raises(BrokenRun, match="incomplete"):
        starting.samples_root()

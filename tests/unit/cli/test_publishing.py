"""The reports of a judged run: written together, and again to the same bytes."""

import sys
from pathlib import Path

import pytest

from tfy_last9.adapters.files.scenario import load_scenario
from tfy_last9.adapters.opening import RunRequest, open_run
from tfy_last9.cli import judging, publishing
from tfy_last9.errors import BrokenRun

DATA = Path(__file__).parents[2] / "data"
sys.path.insert(0, str(Path(__file__).parents[1] / "reports"))
from report_samples import INVALID, VERDICT, link  # noqa: E402

REPORTS = ["verdict.json", "junit.xml", "summary.md", "ctrf.json", "metrics.txt"]


@pytest.fixture
def folder(tmp_path):
    scenario = load_scenario(DATA / "short.yaml")
    request = RunRequest(scenario, DATA / "slo", tmp_path / "runs", "http://127.0.0.1:1", 1)
    made, _ = open_run(request, 1_795_000_000_000_000_000)
    return made


@pytest.fixture
def page(tmp_path, monkeypatch):
    path = tmp_path / "step.md"
    path.write_text("of an earlier command\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(path))
    return path


def test_every_report_is_written_and_written_again_to_the_same_bytes(folder):
    publishing.write_reports(folder, VERDICT, judging.linker(folder))
    first = {name: (folder.path / name).read_bytes() for name in REPORTS}
    for name in REPORTS[1:]:
        (folder.path / name).unlink()
    judging.render_again(folder)
    assert {name: (folder.path / name).read_bytes() for name in REPORTS} == first


def test_a_run_that_was_never_judged_has_nothing_to_render(folder):
    with pytest.raises(BrokenRun, match="never judged"):
        judging.render_again(folder)


def test_a_run_that_sent_nothing_still_has_instants_for_ctrf(folder):
    facts = publishing.run_facts(folder.read_manifest())
    assert facts.start_ms == facts.stop_ms == 1_795_000_000_000


def test_github_is_told_by_annotations_and_by_the_step_summary(folder, page, capsys):
    publishing.write_reports(folder, VERDICT, link)
    publishing.tell_github(publishing.GitHub("slo"), folder, VERDICT, json=False)
    assert capsys.readouterr().out.startswith("::error file=slo/client.yaml,line=5")
    assert page.read_text().startswith("of an earlier command\n## FAIL: smoke\n")


@pytest.mark.usefixtures("page")
def test_annotations_stay_out_of_json(folder, capsys):
    publishing.write_reports(folder, INVALID, link)
    publishing.tell_github(publishing.GitHub("slo"), folder, INVALID, json=True)
    found = capsys.readouterr()
    assert found.out == ""
    assert found.err.startswith("::error ")


def test_nobody_is_told_where_nobody_asked(folder, page, capsys):
    publishing.write_reports(folder, VERDICT, link)
    publishing.tell_github(None, folder, VERDICT, json=False)
    assert capsys.readouterr().out == ""
    assert page.read_text() == "of an earlier command\n"


@pytest.mark.parametrize(
    ("choice", "environment", "wanted"),
    [(None, "true", True), (None, "", False), (False, "true", False), (True, "", True)],
)
def test_github_is_recognised_unless_a_flag_says_otherwise(
    choice, environment, wanted, monkeypatch
):
    monkeypatch.setenv("GITHUB_ACTIONS", environment)
    assert (publishing.github_wanted(choice, Path("slo")) is not None) == wanted


def test_slo_files_are_named_as_the_repository_sees_them(tmp_path, monkeypatch):
    """GitHub resolves a file of an annotation from the root of the checkout."""
    (tmp_path / "sub" / "slo").mkdir(parents=True)
    (tmp_path / "sub" / "slo" / "one.yaml").touch()
    monkeypatch.setenv("GITHUB_WORKSPACE", str(tmp_path))
    monkeypatch.chdir(tmp_path / "sub")
    assert publishing.github_wanted(True, Path("slo")).slo_root == "sub/slo"
    assert publishing.github_wanted(True, Path("slo/one.yaml")).slo_root == "sub/slo"
    monkeypatch.setenv("GITHUB_WORKSPACE", "/elsewhere")
    assert publishing.github_wanted(True, Path("slo")).slo_root == "slo"

"""What the web UI shows: the pickers, the tabs, the page's document, and the child that judges."""

import json
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from tfy_last9.adapters.files.openslo import load_objectives
from tfy_last9.adapters.files.scenario import load_scenario
from tfy_last9.errors import ConfigurationError
from tfy_last9.progress.live_run import LiveRun
from tfy_last9.progress.standings import NOTHING, summary
from tfy_last9.swarm.choices import Choice, asked, choices, chosen
from tfy_last9.swarm.judging import Judging, Stage
from tfy_last9.swarm.live.state import document
from tfy_last9.swarm.live.tabs import OBJECTIVES, PROVIDERS, TABLES, tables
from tfy_last9.swarm.runs import Entry

ROOT = Path(__file__).parents[4]
SHORT = load_scenario(ROOT / "tests" / "data" / "short.yaml")
SLOS = load_objectives(ROOT / "tests" / "data" / "slo")
MS = 1_000_000


@pytest.fixture
def offered(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("scenarios/a.yaml", "scenarios/b.yml", "scenarios/.hidden.yaml", "slo/x.yaml"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).touch()
    for name in ("slo/pr/x.yaml", "slo/empty/readme.md", "secret.yaml"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).touch()
    return choices(Path("scenarios/b.yml"), Path("slo"), ["none", "latest-pass", "runs/kept"])


def test_what_lies_beside_the_defaults_is_offered_defaults_first(offered):
    assert list(offered.scenarios) == ["scenarios/b.yml", "scenarios/a.yaml"]
    assert list(offered.slos) == ["slo", "slo/pr"]


def test_folders_that_are_not_there_offer_the_defaults_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    alone = choices(Path("x/y.yaml"), Path("z"), [])
    assert (list(alone.scenarios), list(alone.slos)) == (["x/y.yaml"], ["z"])


def test_without_a_choice_the_defaults_are_meant(offered):
    assert chosen(offered, SimpleNamespace()) == Choice(Path("scenarios/b.yml"), Path("slo"))


@pytest.mark.parametrize(
    "name", ["../secret.yaml", "/etc/passwd", "scenarios/../secret.yaml", "secret.yaml", "slo"]
)
def test_a_form_can_name_nothing_that_was_not_offered(offered, name):
    with pytest.raises(ConfigurationError, match="not one of those offered"):
        asked(offered, {"scenario": name}, SimpleNamespace())


def test_a_form_chooses_and_what_it_lacks_stays(offered):
    options = SimpleNamespace(scenario="scenarios/a.yaml", objectives="slo/pr")
    assert asked(offered, {}, options) == Choice(Path("scenarios/a.yaml"), Path("slo/pr"))
    found = asked(offered, {"objectives": "slo"}, options)
    assert found == Choice(Path("scenarios/a.yaml"), Path("slo"))


def test_a_baseline_is_one_that_the_command_line_named_or_the_newest_that_passed(offered):
    options = SimpleNamespace(baseline="runs/kept")
    assert asked(offered, {}, options).baseline == "runs/kept"
    assert asked(offered, {"baseline": "latest-pass"}, options).baseline == "latest-pass"
    assert asked(offered, {"baseline": "none"}, options).baseline is None
    assert chosen(offered, SimpleNamespace(baseline="none")).baseline is None


@pytest.mark.parametrize("place", ["/etc", "s3://bucket/runs", "http://169.254.169.254/latest"])
def test_a_form_cannot_make_the_process_read_another_place(offered, place):
    with pytest.raises(ConfigurationError, match="not one of those offered"):
        asked(offered, {"baseline": place}, SimpleNamespace(baseline="runs/kept"))


def row(seq, provider="openai", outcome="ok"):
    due_ns = seq * 10 * MS
    made = {
        "seq": seq,
        "provider": provider,
        "phase": "steady",
        "api": "chat",
        "stream": True,
        "epoch_ns": 0,
    }
    made |= {"outcome": outcome, "due_ns": due_ns, "started_ns": due_ns}
    made |= {"finished_ns": due_ns + 400 * MS + 1}
    return made | ({"first_token_ns": due_ns + 105_001_234} if outcome == "ok" else {})


@pytest.fixture
def live():
    run = LiveRun(SHORT, SLOS)
    run.start_ns = 0
    run.take(row(seq) for seq in range(80))
    run.take(row(seq, "gemini", "ok" if seq % 2 else "provider_error") for seq in range(30))
    return run


def rows(live, key):
    return {one["name"]: one for one in next(t["data"] for t in tables(live) if t["key"] == key)}


def test_the_slo_tab_shows_exact_percentiles_and_what_is_decided(live):
    found = rows(live, PROVIDERS)
    assert (found["openai"]["n"], found["openai"]["errors"]) == (80, 0)
    assert found["openai"]["ttftb"] == 105.001, "Locust would show 100"
    assert found["openai"]["decided"] == "decided: good"
    assert found["gemini"]["decided"] == "decided: bad (client-errors)"
    assert found["gemini"]["used"] == "1250 %"
    assert found["anthropic"]["decided"] == "0 of 3 decided; client-total-p99 needs 74 more"
    assert found["anthropic"]["ttfta"] == NOTHING


def test_the_objectives_tab_has_a_line_per_objective_and_group(live):
    found = rows(live, OBJECTIVES)
    assert found["client-errors, gemini"]["bad"] == 15
    assert found["trace-completeness"]["decided"] == "after the run, from Last9"
    assert found["trace-completeness"]["n"] == NOTHING


def test_every_column_of_the_tabs_has_its_cell_and_a_key_that_locust_leaves_alone(live):
    for table in TABLES:
        keys = {column["key"] for column in table["structure"]}
        assert all(key.isalpha() and key.islower() for key in keys)
        for one in rows(live, table["key"]).values():
            assert one.keys() == keys


def test_a_provider_without_objectives_has_nothing_decided():
    assert summary([]) == NOTHING


def entry(live=None, start_ns=None, judging=None, run_id="r1"):
    run = SimpleNamespace(run_id=run_id, scenario=SHORT, start_ns=start_ns, live=live)
    return Entry(run, "slo", judging)


def judged(state="PASS"):
    made = Judging(SimpleNamespace(path=Path("runs/r1")), Stage.JUDGED, 0)
    finding = {"objective": "o", "group": {"provider": "openai"}, "state": state, "claim": "c"}
    finding |= {"critical": True, "total": 100, "bad": 4, "budget": 0.05, "message": "m"}
    made.verdict = {"state": state, "reason": "why", "findings": [finding]}
    made.verdict |= {"run_id": "r1", "next_steps": ["see it: tfy-last9 traces r1"]}
    return made


def shown(*entries, is_stopping=False):
    return document(entries, is_stopping=is_stopping)


def test_before_the_first_run_there_is_nothing_to_show():
    assert shown() == {"stage": "ready", "runs": []}


def test_the_stages_of_a_run(live):
    now_ns = time.time_ns()
    assert shown(entry(live))["stage"] == "starting"
    assert shown(entry(live, now_ns + 10**9))["stage"] == "starting"
    assert shown(entry(live, now_ns - 10**9))["stage"] == "loading"
    assert shown(entry(live, now_ns - 10**9), is_stopping=True)["stage"] == "draining"
    assert shown(entry(live, now_ns - 60 * 10**9))["stage"] == "draining"
    settling = Judging(SimpleNamespace(path=Path("runs/r1")))
    assert shown(entry(live, 1, settling))["stage"] == "settling"
    assert shown(entry(live, 1, judged()))["stage"] == "judged"


def test_a_judged_run_shows_the_verdict_and_where_its_report_is(live):
    found = shown(entry(live, 1, judged("FAIL")), entry(live, 1, judged("FAIL"), "r2"))
    assert found["run"]["report"] == "tfy/runs/r2/report.html"
    assert [one["id"] for one in found["runs"]] == ["r2", "r1"]
    assert found["verdict"]["state"] == "FAIL"
    assert found["verdict"]["next_steps"] == ["see it: tfy-last9 traces runs/r1"]
    assert found["verdict"]["findings"][0]["used"] == pytest.approx(0.8)
    assert found["limits"]["ttft"] == {"value": 1500.0, "text": "SLO p95 1.5 s"}


def test_the_document_is_json_and_holds_no_prompt(live):
    text = json.dumps(shown(entry(live, time.time_ns(), judged())))
    assert SHORT.prompts[0].messages[0].content not in text


def judging(tmp_path):
    return Judging(SimpleNamespace(path=tmp_path, verdict_path=tmp_path / "verdict.json"))


def test_events_of_the_child_become_progress(tmp_path, capsys):
    found = judging(tmp_path)
    event = {"kind": "tick", "text": "traces: 5 of 9", "complete": 5, "expected": 9}
    found.take(json.dumps(event | {"elapsed_s": 1.5}).encode())
    found.take(b'{"kind": "say", "text": "traces: 9 of 9"}\n')
    assert (found.progress["complete"], found.course) == (5, [(1.5, 5)])
    assert list(found.lines) == ["traces: 9 of 9"]
    assert capsys.readouterr().err == "traces: 5 of 9\ntraces: 9 of 9\n"


@pytest.mark.parametrize("line", [b"error: no token\n", b"[1, 2]\n", b'{"a": 1}\n', b"\xff\n"])
def test_plain_words_of_the_child_are_kept_as_they_are(tmp_path, line):
    found = judging(tmp_path)
    found.take(line)
    assert list(found.lines) == [line.decode(errors="replace").rstrip()]


def test_a_child_that_leaves_no_verdict_is_told_with_its_last_words(tmp_path):
    found = judging(tmp_path)
    found.start()
    assert found.wait() == 23
    assert found.stage is Stage.UNJUDGED
    assert any("run.json" in line for line in found.lines)


def test_a_check_that_cannot_even_start_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.executable", str(tmp_path / "nothing"))
    found = judging(tmp_path)
    found.start()
    assert found.wait() == 23
    assert found.stage is Stage.UNJUDGED
    assert "could not be started" in found.lines[-1]

"""A run folder that exists is finished, and nothing is ever sent twice."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tfy_last9.adapters.files.scenario import load_scenario
from tfy_last9.adapters.opening import RunRequest, open_run
from tfy_last9.adapters.runfolder.seal import seal
from tfy_last9.cli import gate as gating
from tfy_last9.cli.console import Console
from tfy_last9.cli.crew import Crew
from tfy_last9.cli.gate import run_gate
from tfy_last9.cli.gate_request import GateRequest
from tfy_last9.errors import BrokenRun, ConfigurationError, ExitCode
from tfy_last9.model.run import EarlyStop

DATA = Path(__file__).parents[2] / "data"
NOW_NS = 1_795_000_000_000_000_000


@pytest.fixture
def request_(tmp_path, monkeypatch):
    def never(*_):
        pytest.fail("the gateway was about to be asked")

    monkeypatch.setattr(gating, "enter_world", never)
    return GateRequest(
        scenario=DATA / "short.yaml",
        slo=DATA / "slo",
        out=tmp_path / "runs",
        sandbox=False,
        sandbox_port=0,
        faults=(),
        client_only=True,
        crew=Crew(),
        rate_per_s=None,
        duration_s=None,
        seed=None,
        as_json=False,
        run_id="job-7",
    )


def made(request):
    """Make the folder as a first attempt would have left it just after it began."""
    wanted = RunRequest(
        load_scenario(request.scenario),
        request.slo,
        request.out,
        "http://127.0.0.1:1",
        1,
        client_only=True,
        run_id=request.run_id,
    )
    return open_run(wanted, NOW_NS)[0]


def finished(folder, ended="schedule"):
    """Leave what a load process leaves that ended in good order with one answered request."""
    scenario = folder.read_manifest().scenario
    target = scenario.targets[0]
    row = {
        "run_id": "job-7", "request_id": "job-7.0", "worker": 0, "seq": 0, "phase": "steady",
        "target": target.name, "provider": "openai", "model": "openai-main/gpt-4o-mini",
        "api": "chat", "stream": True, "attempt": 1, "due_ns": 0, "started_ns": 10,
        "first_token_ns": 1000, "finished_ns": 2000, "epoch_ns": NOW_NS, "clock": "kernel",
        "outcome": "ok", "written": True,
    }  # fmt: skip
    (folder.work_path / "rows-0.ndjson").write_text(json.dumps(row) + "\n")
    report = {
        "workers": [{"worker": 0, "epoch_ns": NOW_NS, "rows": 1, "drained": True}],
        "expected_workers": 1, "offered": 1, "start_ns": NOW_NS, "ended": ended,
        "stopped_targets": [], "problems": [],
    }  # fmt: skip
    (folder.work_path / "swarm.json").write_text(json.dumps(report))


def test_a_run_that_was_sent_but_not_judged_is_judged(request_, capsys):
    folder = made(request_)
    finished(folder)
    code = run_gate(request_, Console())
    verdict = json.loads(folder.verdict_path.read_text())
    assert (verdict["run_id"], verdict["exit_code"]) == ("job-7", code)
    assert verdict["accounting"]["answered"] == 1
    assert "nothing is sent again" in capsys.readouterr().err


def test_a_run_that_the_gate_itself_ended_early_has_a_verdict_of_its_own(request_, capsys):
    folder = made(request_)
    finished(folder, ended="stopped")
    enough = EarlyStop("decided early", 10, 100)
    folder.write_manifest(replace(folder.read_manifest(), early_stop=enough))
    code = run_gate(request_, Console())
    assert json.loads(folder.verdict_path.read_text())["exit_code"] == code
    assert "nothing is sent again" in capsys.readouterr().err


def test_a_run_that_was_stopped_while_it_settled_is_finished(request_, capsys):
    folder = made(request_)
    finished(folder)
    seal(folder)
    folder.write_manifest(replace(folder.read_manifest(), ended="unsettled"))
    run_gate(request_, Console())
    assert "nothing is sent again" in capsys.readouterr().err


def test_a_judged_run_gives_the_same_bytes_again(request_):
    folder = made(request_)
    finished(folder)
    first_code = run_gate(request_, Console())
    first = folder.verdict_path.read_bytes()
    assert run_gate(request_, Console()) == first_code
    assert folder.verdict_path.read_bytes() == first


def test_a_run_that_broke_off_is_an_error_and_is_not_sent_again(request_, capsys):
    folder = made(request_)
    assert run_gate(request_, Console()) == ExitCode.ERROR
    assert "is not sent again" in capsys.readouterr().err
    assert json.loads(folder.verdict_path.read_text())["state"] == "ERROR"


def test_a_run_that_is_being_written_is_left_alone(request_):
    folder = made(request_)
    (folder.work_path / "progress.json").write_text("{}")
    with pytest.raises(BrokenRun, match="right now"):
        run_gate(request_, Console())
    assert not folder.ledger_path.exists()


def test_an_id_does_not_answer_for_another_scenario(request_):
    made(request_)
    with pytest.raises(ConfigurationError, match="used another scenario"):
        run_gate(replace(request_, seed=1), Console())


@pytest.mark.parametrize("name", ["", "../up", "a/b", ".hidden", "x" * 101, "a b"])
def test_an_id_that_is_no_folder_name_is_refused(request_, name):
    with pytest.raises(ConfigurationError, match="--run-id"):
        run_gate(replace(request_, run_id=name), Console())


def test_traces_of_a_sandbox_that_is_gone_cannot_be_fetched(request_):
    folder = made(request_)
    finished(folder)
    manifest = folder.read_manifest()
    folder.write_manifest(replace(manifest, sandbox=True, client_only=False))
    with pytest.raises(BrokenRun, match="sandbox that is gone"):
        run_gate(request_, Console())

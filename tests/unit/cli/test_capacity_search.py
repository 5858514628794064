"""`gate --find-capacity`: one gate per rate in a folder of its own, and one answer."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tfy_last9.cli import capacity
from tfy_last9.cli.console import Console
from tfy_last9.cli.crew import Crew
from tfy_last9.cli.gate_request import GateRequest
from tfy_last9.cli.main import app
from tfy_last9.errors import ConfigurationError, ExitCode, Undecidable
from tfy_last9.model.verdict import State
from tfy_last9.reports import verdict_json

ROOT = Path(__file__).parents[3]
VERDICT = verdict_json.parse((ROOT / "tests" / "golden" / "verdict.json").read_text())


def request_(tmp_path, **changes):
    made = GateRequest(
        scenario=ROOT / "tests" / "data" / "short.yaml",
        slo=ROOT / "tests" / "data" / "slo",
        out=tmp_path / "runs",
        sandbox=True,
        sandbox_port=0,
        faults=(),
        client_only=True,
        crew=Crew(),
        rate_per_s=100.0,
        duration_s=None,
        seed=None,
        as_json=False,
    )
    return replace(made, **changes)


@pytest.fixture
def gates(monkeypatch):
    """Stand in for gates: each writes a verdict that depends on its rate alone."""
    asked = []

    def run(request, console):
        console.say("nobody should read this")
        console.result("nor this")
        asked.append(request)
        state = gates_state(request.rate_per_s)
        folder = request.out / request.run_id
        folder.mkdir()
        verdict = replace(VERDICT, state=state, run_id=request.run_id)
        (folder / "verdict.json").write_text(verdict_json.render(verdict))
        return 0

    monkeypatch.setattr(capacity, "run_gate", run)
    return asked


def gates_state(rate):
    return State.PASS if rate < 250 else State.FAIL


def search(request, most=1000.0, *, allow_spend=False):
    return capacity.find_capacity(request, Console(), allow_spend=allow_spend, most_per_s=most)


def test_the_answer_its_interval_and_the_steps_are_told_and_written(gates, tmp_path, capsys):
    assert search(request_(tmp_path)) == 0
    said = capsys.readouterr()
    (place,) = (tmp_path / "runs").iterdir()
    document = json.loads((place / "capacity.json").read_text())
    found = document["capacity"]
    assert found["met_per_s"] < 250 <= found["unmet_per_s"]
    assert found["limited_by"] == "broke"
    assert f"the capacity lies in [{found['met_per_s']:g}, {found['unmet_per_s']:g})" in said.out
    assert "nobody should read this" not in said.out + said.err
    for step in document["steps"]:
        assert (place / step["run_id"] / "verdict.json").is_file()
    assert [request.rate_per_s for request in gates][:3] == [100, 200, 400]


def test_more_users_are_allowed_at_higher_rates(gates, tmp_path):
    search(request_(tmp_path))
    users = {request.rate_per_s: request.users for request in gates}
    assert (users[100.0], users[200.0]) == (150, 300)


def test_programs_get_json(gates, tmp_path, capsys):
    search(request_(tmp_path, as_json=True))
    assert json.loads(capsys.readouterr().out)["capacity"]["limited_by"] == "broke"
    assert not any(request.as_json for request in gates)


@pytest.mark.usefixtures("gates")
def test_no_good_rate_is_a_fail(monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(globals(), "gates_state", lambda _: State.FAIL)
    assert search(request_(tmp_path)) == ExitCode.FAIL
    assert "no rate that was tried meets every objective" in capsys.readouterr().out


def test_a_first_rate_at_which_nothing_can_be_decided_says_what_a_gate_says(monkeypatch, tmp_path):
    def hopeless(*_):
        raise Undecidable("too few", hint="smallest change: --duration 15s")

    monkeypatch.setattr(capacity, "run_gate", hopeless)
    with pytest.raises(Undecidable, match="too few") as caught:
        search(request_(tmp_path))
    assert caught.value.hint == "smallest change: --duration 15s"


def test_a_lower_rate_at_which_nothing_can_be_decided_ends_the_search(gates, monkeypatch, tmp_path):
    monkeypatch.setitem(globals(), "gates_state", lambda _: State.FAIL)
    run = capacity.run_gate

    def gate(request, console):
        if request.rate_per_s < 100:
            raise Undecidable("too few")
        return run(request, console)

    monkeypatch.setattr(capacity, "run_gate", gate)
    assert search(request_(tmp_path)) == ExitCode.FAIL
    assert [request.rate_per_s for request in gates] == [100]


def test_how_long_it_can_take_is_said_before_the_first_step(gates, tmp_path, capsys):
    search(request_(tmp_path, duration_s=2.0))
    assert "up to 12 steps, each a gate that sends for 3 s" in capsys.readouterr().err
    assert gates


def late(verdict):
    validity = replace(verdict.validity, problems=("generator late: start lag p99 900 ms",))
    return replace(
        verdict, state=State.ERROR, reason_code="invalid_run", validity=validity, findings=()
    )


def test_a_saturated_generator_is_not_a_limit_of_the_gateway(gates, monkeypatch, tmp_path, capsys):
    run = capacity.run_gate

    def gate(request, console):
        run(request, console)
        file = request.out / request.run_id / "verdict.json"
        if request.rate_per_s >= 250:
            file.write_text(verdict_json.render(late(verdict_json.parse(file.read_text()))))
        return 0

    monkeypatch.setattr(capacity, "run_gate", gate)
    assert search(request_(tmp_path)) == 0
    said = capsys.readouterr().out
    assert "the generator gave out, so this is a lower bound" in said
    assert "generator late: start lag p99 900 ms" in said
    (place,) = (tmp_path / "runs").iterdir()
    found = json.loads((place / "capacity.json").read_text())["capacity"]
    assert found["limited_by"] == "generator"
    assert found["met_per_s"] < 250 <= found["unmet_per_s"]
    assert gates


def test_an_interrupted_search_keeps_its_steps(gates, monkeypatch, tmp_path, capsys):
    run = capacity.run_gate

    def interrupted(request, console):
        return run(request, console) if len(gates) < 2 else ExitCode.INTERRUPTED

    monkeypatch.setattr(capacity, "run_gate", interrupted)
    assert search(request_(tmp_path)) == ExitCode.INTERRUPTED
    (place,) = (tmp_path / "runs").iterdir()
    assert len(json.loads((place / "capacity.json").read_text())["steps"]) == 2
    assert "interrupted" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"sandbox": False}, "may charge for them"),
        ({"scenario": ROOT / "scenarios" / "closed.yaml"}, "needs constant or poisson arrivals"),
        ({"run_id": "one"}, "makes many"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_sent(changes, said, tmp_path):
    with pytest.raises(ConfigurationError, match=said):
        search(request_(tmp_path, **changes))


def test_a_real_gateway_is_loaded_only_where_spending_is_allowed(gates, tmp_path):
    assert search(request_(tmp_path, sandbox=False), allow_spend=True) == 0
    assert gates


def test_the_command_line_leads_there(gates, tmp_path):
    arguments = ["gate", str(ROOT / "tests" / "data" / "short.yaml"), "--sandbox", "--client-only"]
    arguments += ["--find-capacity", "--rate", "100/s", "--max-rate", "200/s"]
    ended = CliRunner().invoke(app, [*arguments, "--out", str(tmp_path / "runs")])
    assert ended.exit_code == 0, ended.output
    assert [request.rate_per_s for request in gates] == [100, 200]

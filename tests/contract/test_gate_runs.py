"""The main job in the sandbox, as real processes: every answer is compared with the sandbox's journal."""

import json
import os
import re
import signal
from pathlib import Path

import gating
import pytest
from gating import gate, query

pytestmark = pytest.mark.contract
shares_one_run = pytest.mark.xdist_group("healthy")
PROVIDERS = {"openai", "anthropic", "gemini"}


@pytest.fixture(scope="module")
def healthy(tmp_path_factory):
    return gate(tmp_path_factory.mktemp("healthy"))


@shares_one_run
def test_a_healthy_gateway_passes(healthy):
    assert healthy.code == 0, healthy.err
    assert healthy.verdict["state"] == "PASS"
    assert healthy.out.startswith("PASS")
    for objective in ("client-ttft-p95", "trace-completeness", "provider-latency-p95"):
        assert healthy.states(objective) == dict.fromkeys(PROVIDERS, "PASS")


@shares_one_run
def test_the_ledger_has_one_row_for_each_request_the_gateway_served(healthy):
    run_id = healthy.manifest["run_id"]
    served = {e["request_id"] for e in healthy.events("request") if e["run_id"] == run_id}
    rows = {request_id for (request_id,) in healthy.ledger("request_id")}
    assert rows == served
    assert len(rows) == healthy.manifest["counters"]["offered"] > 400


@shares_one_run
def test_completeness_is_counted_over_every_request_warm_up_included(healthy):
    counted = sum(
        finding["total"]
        for finding in healthy.verdict["findings"]
        if finding["objective"] == "trace-completeness"
    )
    assert counted == len(healthy.ledger("seq"))
    judged = sum(
        finding["total"]
        for finding in healthy.verdict["findings"]
        if finding["objective"] == "client-ttft-p95"
    )
    assert judged == len(healthy.ledger("seq", "phase = 'steady'")) < counted


@shares_one_run
def test_each_row_names_the_trace_that_the_gateway_minted(healthy):
    minted = {e["request_id"]: e["trace_id"] for e in healthy.events("request")}
    rows = healthy.ledger("request_id, trace_id, join_path")
    assert all(minted[request_id] == trace_id for request_id, trace_id, _ in rows)
    assert {path for _, _, path in rows} == {"header"}


@shares_one_run
def test_the_ledger_agrees_with_the_instants_of_the_journal(healthy):
    """Bounds are generous: this holds the meaning of the columns; benchmarks/ measures the difference."""
    sent = {e["request_id"]: e for e in healthy.events("request")}
    epoch_utc_ns, *_ = healthy.ledger("epoch_ns")[0]
    differences = []
    for request_id, first_ns, last_ns in healthy.ledger(
        "request_id, first_token_ns, last_token_ns"
    ):
        event = sent[request_id]
        wall_offset_ns = event["t_ns"] - event["mono_ns"]
        first = epoch_utc_ns + first_ns - (event["first_sent_mono_ns"] + wall_offset_ns)
        last = epoch_utc_ns + last_ns - (event["last_sent_mono_ns"] + wall_offset_ns)
        differences += [first, last]
    differences.sort()
    assert abs(differences[len(differences) // 2]) < 20e6


@shares_one_run
def test_every_number_on_the_console_is_in_the_verdict(healthy):
    for finding in healthy.verdict["findings"]:
        group = finding["group"]["provider"]
        row = next(
            line
            for line in healthy.out[healthy.out.index(finding["objective"] + ":") :].splitlines()
            if line.split()[:2] == [finding["state"], group]
        )
        assert f"{finding['total']:,}" == row.split()[-1]


@shares_one_run
def test_checking_again_gives_the_same_bytes_without_a_network(healthy, tmp_path):
    before = (healthy.folder / "verdict.json").read_bytes()
    again = gating.run("check", healthy.folder, cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert (healthy.folder / "verdict.json").read_bytes() == before
    assert again.stdout.splitlines()[3:] == healthy.out.splitlines()[3:]


@shares_one_run
def test_a_copy_of_the_run_folder_elsewhere_gives_the_same_bytes(healthy, tmp_path):
    """The verdict is a function of the folder's content, not of its place."""
    import shutil

    copy = tmp_path / "elsewhere" / "renamed"
    shutil.copytree(healthy.folder, copy)
    (copy / "verdict.json").unlink()
    assert gating.run("check", copy, cwd=tmp_path).returncode == 0
    assert (copy / "verdict.json").read_bytes() == (healthy.folder / "verdict.json").read_bytes()


@shares_one_run
def test_a_what_if_leaves_the_verdict_alone(healthy, tmp_path):
    strict = tmp_path / "strict.yaml"
    text = (gating.SLO / "client.yaml").read_text()
    strict.write_text(text.replace("value: 1500", "value: 150"))
    before = (healthy.folder / "verdict.json").read_bytes()
    answer = gating.run("check", healthy.folder, "--slo", strict, cwd=tmp_path)
    assert answer.returncode == 20, answer.stderr
    assert (healthy.folder / "verdict.json").read_bytes() == before
    assert json.loads((healthy.folder / "verdict-whatif.json").read_text())["state"] == "FAIL"


@shares_one_run
def test_traces_prints_the_slowest_requests_with_their_span_trees(healthy, tmp_path):
    arguments = ("traces", healthy.folder, "--where", "provider=openai", "--slowest", 3)
    answer = gating.run(*arguments, cwd=tmp_path)
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.count("ChatCompletion: openai-main/gpt-4o-mini") == 3
    assert answer.stdout.count("- POST https://api.openai.com/v1/chat/completions") == 3
    slowest = query(
        f"SELECT request_id FROM '{healthy.folder}/requests.parquet' WHERE provider = 'openai' "
        "ORDER BY finished_ns - due_ns DESC LIMIT 1"
    )[0][0]
    assert slowest in answer.stdout.splitlines()[0]


@shares_one_run
def test_no_key_is_in_the_run_folder_or_the_output(healthy):
    secrets = re.compile(rb"sandbox-[A-Za-z0-9_-]{20,}|eyJhbGciOi|Basic [A-Za-z0-9+/]{8,}|Bearer ")
    for path in healthy.folder.rglob("*"):
        if path.is_file():
            assert not secrets.search(path.read_bytes()), path
    assert not secrets.search((healthy.out + healthy.err).encode())


@shares_one_run
def test_no_prompt_or_completion_is_in_the_run_folder(healthy):
    for path in healthy.folder.rglob("*"):
        if path.is_file() and path.name != "run.json":  # the scenario as resolved holds its prompts
            assert b"sky blue" not in path.read_bytes(), path
    keys = {key for (attributes,) in healthy.spans("attributes") for key in json.loads(attributes)}
    assert keys
    assert not keys & {"tfy.input", "tfy.output", "tfy.input_short_hand"}


def test_lost_traces_fail_completeness_and_are_the_ones_the_gateway_dropped(tmp_path):
    lost = gate(tmp_path, "--fault", "trace_loss=0.05")
    assert lost.code == 20, lost.err
    assert lost.out.splitlines()[1].startswith("trace-completeness")
    dropped = {event["trace_id"] for event in lost.events("trace_dropped")}
    ledger = {trace_id for (trace_id,) in lost.ledger("trace_id")}
    seen = {trace_id for (trace_id,) in lost.spans("trace_id")}
    assert ledger - seen == dropped & ledger
    assert lost.verdict["accounting"]["lost"] == len(dropped & ledger) > 10
    assert set(lost.states("client-errors").values()) == {"PASS"}


def test_a_slow_provider_fails_alone(tmp_path):
    slow = gate(tmp_path, "--fault", "provider_latency:anthropic=2s")
    assert slow.code == 20, slow.err
    expected = {"openai": "PASS", "gemini": "PASS", "anthropic": "FAIL"}
    assert slow.states("client-ttft-p95") == expected
    assert slow.states("provider-latency-p95") == expected
    assert "anthropic" in slow.out.splitlines()[1]


def test_a_failing_provider_fails_alone(tmp_path):
    failing = gate(tmp_path, "--fault", "provider_errors:openai=0.15")
    assert failing.code == 20, failing.err
    expected = {"openai": "FAIL", "gemini": "PASS", "anthropic": "PASS"}
    assert failing.states("provider-errors") == expected
    assert failing.states("client-errors") == expected
    wrong = {e["request_id"] for e in failing.events("request") if e["outcome"] != "ok"}
    rows = failing.ledger("request_id", "outcome = 'provider_error'")
    assert {request_id for (request_id,) in rows} == {
        one for one in wrong if one and "preflight" not in one
    }


def test_a_provider_without_spans_is_no_data_and_never_a_pass(tmp_path):
    silent = gate(tmp_path, "--fault", "provider_silent:gemini")
    assert silent.code == 22, silent.err
    assert "gemini" in silent.out.splitlines()[1]
    for objective in ("trace-completeness", "provider-latency-p95", "provider-errors"):
        expected = {"openai": "PASS", "anthropic": "PASS", "gemini": "NO_DATA"}
        assert silent.states(objective) == expected


def test_delayed_traces_pass_with_their_lag_reported(tmp_path):
    late = gate(tmp_path, "--fault", "trace_delay=3s")
    assert late.code == 0, late.err
    assert 3 < late.verdict["accounting"]["lag"]["value"] < 12
    assert late.verdict["accounting"]["lost"] == 0
    assert "lag" in late.out


def test_two_worker_processes_lose_nothing(tmp_path):
    run = gate(tmp_path, "--processes", 2)
    assert run.code == 0, run.err
    assert {worker["worker"] for worker in run.manifest["workers"]} == {0, 1}
    assert all(worker["drained"] for worker in run.manifest["workers"])
    run_id = run.manifest["run_id"]
    served = {e["request_id"] for e in run.events("request") if e["run_id"] == run_id}
    assert {request_id for (request_id,) in run.ledger("request_id")} == served


def test_client_only_says_what_it_did_not_look_at(tmp_path):
    run = gate(tmp_path, "--client-only")
    assert run.code == 0, run.err
    assert set(run.states("trace-completeness").values()) == {"NOT_CONFIGURED"}
    assert set(run.states("client-errors").values()) == {"PASS"}
    assert not (run.folder / "spans.parquet").exists()


def started(process, tmp_path):
    """Wait until load flows, and return the pids of the sandbox's processes by name."""
    work = gating.wait_for(lambda: list((tmp_path / "runs").glob("2*/.work/progress.json")))
    gating.wait_for(lambda: json.loads(work[0].read_bytes())["finished"] > 50, what="traffic")
    found = {}
    for pid in gating.descendants(process.pid):
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        for name in (b"gateway", b"last9", b"providers", b"up"):
            if b"tfy_last9.standins" in words and name in words:
                found.setdefault(name.decode(), pid)
    return found


def begin(tmp_path, *more):
    arguments = ("gate", gating.SCENARIO, "--slo", gating.SLO, "--out", tmp_path / "runs")
    return gating.start(*arguments, "--sandbox", *more, cwd=tmp_path)


def finish(process, tmp_path):
    out, err = process.communicate(timeout=90)
    return gating.Outcome(process.returncode, out, err, tmp_path / "runs")


@pytest.mark.parametrize("victim", ["gateway", "up"])
def test_a_sandbox_that_dies_is_an_error_and_the_folder_is_intact(tmp_path, victim):
    process = begin(tmp_path)
    gating.kill(started(process, tmp_path)[victim])
    run = finish(process, tmp_path)
    assert run.code == 23, run.err
    assert "sandbox" in run.out.splitlines()[1]
    assert run.verdict["state"] == "ERROR"
    assert run.manifest["counters"]["finished"] > 50
    assert run.ledger("count(*)") == [(run.manifest["counters"]["offered"],)]


def test_last9_down_at_check_time_is_an_error_that_can_be_collected_later(tmp_path):
    """Last9 dies when the load is over: the ledger stays, and the message says how to go on."""
    process = begin(tmp_path, "--duration", "5s")
    last9 = started(process, tmp_path)["last9"]
    work = next(iter((tmp_path / "runs").glob("2*/.work")))
    gating.wait_for(lambda: not work.exists(), what="the sealed ledger")
    gating.kill(last9)
    run = finish(process, tmp_path)
    assert run.code == 23, run.out + run.err
    assert run.verdict["state"] == "ERROR"
    assert run.ledger("count(*)")[0][0] == run.manifest["counters"]["offered"]
    assert "tfy-last9 collect" in run.out + run.err


def test_ctrl_c_keeps_what_was_recorded_and_exits_130(tmp_path):
    process = begin(tmp_path)
    pids = started(process, tmp_path)
    os.kill(process.pid, signal.SIGINT)
    run = finish(process, tmp_path)
    assert run.code == 130, run.err
    assert run.verdict["state"] == "ERROR"
    assert run.verdict["reason_code"] == "incomplete"
    served = {e["request_id"] for e in run.events("request") if "preflight" not in e["request_id"]}
    assert served == {request_id for (request_id,) in run.ledger("request_id", "written")}
    gating.wait_for(lambda: not any(map(gating.is_running, pids.values())), what="no process left")


def test_a_gate_killed_outright_leaves_no_process_behind(tmp_path):
    process = begin(tmp_path)
    started(process, tmp_path)
    children = gating.descendants(process.pid)
    assert len(children) >= 5
    gating.kill(process.pid)
    process.communicate(timeout=30)
    gating.wait_for(lambda: not any(map(gating.is_running, children)), what="no process left")

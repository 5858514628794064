"""`gate --run-id` with real processes: run once, asked again, killed and started again."""

import json
import os
import signal

import pytest
from gating import SCENARIO, SLO, descendants, is_running, query, run, start, wait_for

pytestmark = [pytest.mark.contract, pytest.mark.xdist_group("named_run")]


def arguments(folder, *more):
    return (
        *("gate", SCENARIO, "--slo", SLO, "--out", folder / "runs", "--sandbox"),
        *("--run-id", "job-1", *more),
    )


def test_a_named_run_is_reported_once_and_asked_again_for_nothing(tmp_path):
    page = tmp_path / "step.md"
    on_github = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(page)}
    fault = ("--fault", "provider_latency:anthropic=2s")
    first = run(*arguments(tmp_path, *fault), cwd=tmp_path, **on_github)
    assert first.returncode == 20, first.stderr
    errors = [line for line in first.stdout.splitlines() if line.startswith("::error file=")]
    assert "title=FAIL client-ttft-p95 (anthropic)" in "\n".join(errors)
    assert page.read_text().startswith("## FAIL: short\n")

    folder = tmp_path / "runs" / "job-1"
    names = ["verdict.json", "junit.xml", "summary.md", "ctrf.json", "metrics.txt", "report.html"]
    before = {name: (folder / name).read_bytes() for name in names}
    for name in names[1:]:
        (folder / name).unlink()
    assert run("report", folder, cwd=tmp_path).returncode == 0
    assert {name: (folder / name).read_bytes() for name in names} == before

    again = run(*arguments(tmp_path, *fault), cwd=tmp_path)
    assert again.returncode == 20
    assert "nothing is sent again" in again.stderr
    assert "load:" not in again.stderr
    assert (folder / "verdict.json").read_bytes() == before["verdict.json"]


def test_a_killed_run_is_judged_an_error_and_never_sent_again(tmp_path):
    """As when a pod is evicted in the middle: the next one must not pay a second time."""
    folder = tmp_path / "runs" / "job-1"
    gate = start(*arguments(tmp_path), cwd=tmp_path)
    wait_for(lambda: list(folder.glob(".work/rows-*")), what="the first rows")
    family = descendants(gate.pid)
    os.kill(gate.pid, signal.SIGKILL)
    gate.communicate()

    busy = run(*arguments(tmp_path), cwd=tmp_path)
    assert busy.returncode == 23
    assert "by a load process right now" in busy.stderr

    wait_for(lambda: not [pid for pid in family if is_running(pid)], what="the end of the load")
    for file in folder.glob(".work/*"):
        os.utime(file, (0, 0))
    again = run(*arguments(tmp_path), cwd=tmp_path)
    assert again.returncode == 23, again.stderr
    assert "is not sent again" in again.stderr
    assert json.loads((folder / "verdict.json").read_text())["state"] == "ERROR"
    assert query(f"SELECT count(*) FROM '{folder}/requests.parquet'")[0][0] > 0

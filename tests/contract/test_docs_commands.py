"""Every command of README and docs is run: here against one sandbox, or by the test that is named here."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import boto3
import gating
import pytest
from moto.server import ThreadedMotoServer

sys.path.append(str(Path(__file__).parents[1] / "unit"))

from test_docs import ours

pytestmark = [pytest.mark.contract, pytest.mark.xdist_group("production")]

HERE = Path(__file__).parent
DECIDED = {0, 20, 21, 22}
"""A command that worked; what it says about the run depends on where it was run."""
CODES = {"doctor": {0}, "lint": {0}, "report": {0}, "traces": {0}, "keep": {0}, "export": {0}}
RUNS = (
    *("RUN", "RUN_A", "RUN_B", "BASELINE", "CANARY", "runs/ID", "runs/RUN"),
    *("runs/20261122-101500-smoke-778899", "runs/20261123-101500-smoke-ab12cd"),
)
RUN_BY = {
    r"gate \S+ --sandbox --fault provider_latency:anthropic=2s": "test_gate_runs.py::test_a_slow_provider_fails_alone",
    r"gate \S+ --sandbox --fault trace_loss=0.05": "test_gate_runs.py::test_lost_traces_fail_completeness_and_are_the_ones_the_gateway_dropped",
    r"gate \S+ --sandbox --fault provider_silent:gemini": "test_gate_runs.py::test_a_provider_without_spans_is_no_data_and_never_a_pass",
    r"gate \S+ --sandbox": "test_gate_runs.py::test_a_healthy_gateway_passes",
    r"gate \S+ --processes \d": "test_gate_runs.py::test_two_worker_processes_lose_nothing",
    r"gate \S+( --slo \S+ --out \S+ --run-id \S+ --quiet)?": "test_named_run.py::test_a_named_run_is_reported_once_and_asked_again_for_nothing",
    r"gate \S+ --baseline latest-pass( --baselines \S+)?": "test_production_shape.py::test_a_second_run_that_is_slower_fails_against_the_first_one",
    r"gate \S+ --budget-usd \S+": "test_budget.py::test_what_the_sandbox_charged_stays_within_the_budget",
    # A search is a gate per rate; tests of the search stand on their own runs.
    r"gate \S+ (--sandbox )?--find-capacity( .*)?": "../unit/cli/test_capacity_search.py::test_the_command_line_leads_there",
    r"gate \S+ --sandbox --locustfile \S+": "test_docs_commands.py::test_users_in_python_send_in_a_closed_loop",
    r"locust -f \S+users.py --headless --tags short": "test_docs_commands.py::test_users_in_python_send_in_a_closed_loop",
    r"gate \S+ --expect-workers \d --master-bind-host \S+": "test_distributed_runs.py::test_workers_that_were_cut_off_for_a_while_lose_nothing",
    r"worker --master-host \S+( --processes \d)?": "test_distributed_runs.py::test_workers_that_were_cut_off_for_a_while_lose_nothing",
    r"gate \S+ --export": "test_production_shape.py::test_spans_of_the_run_are_in_last9_and_link_to_the_gateways_traces",
    r"sandbox --env-file .env( --fault \S+)?": "conftest.py::production",
    r"locust -f \S+ --headless": "test_locust_runs.py::test_a_schedule_that_ends_loses_nothing_and_the_verdict_is_the_exit_code",
    r"locust -f \S+( --headless)? --processes \d": "test_locust_runs.py::test_two_workers_share_the_schedule_evenly",
    # `--processes` starts the same master and workers on one machine.
    r"locust -f \S+ --headless --master( --\S+ \d+)*": "test_locust_runs.py::test_two_workers_share_the_schedule_evenly",
    r"locust -f \S+ --worker --master-host \S+": "test_locust_runs.py::test_two_workers_share_the_schedule_evenly",
    r"locust -f \S+canary.py": "test_docs_commands.py::test_the_canary_locustfile_sends_both_arms",
    r"locust -f \S+ --baseline \S+": "test_three_ways.py::test_all_three_compare_with_the_run_that_passed",
    r"locust -f \S+chat.py": "test_locust_runs.py::test_a_run_started_and_stopped_in_the_browser_loses_nothing_and_is_judged",
}
"""Sends load: pattern of the command to the test that runs it, on a scenario of a few seconds."""


def runner_of(line):
    return next((test for pattern, test in RUN_BY.items() if re.fullmatch(pattern, line)), None)


def lines(program):
    unique = {shlex.join(param.values[0]): param.values[0] for param in ours(program)}
    return [(line, words) for line, words in unique.items() if len(words) > 1 or words[0] in CODES]


TO_RUN = [
    pytest.param(words, id=line)
    for line, words in lines("tfy-last9")
    if runner_of(line) is None and not line.startswith("--")
]


@pytest.fixture(scope="module")
def workspace(production, first, tmp_path_factory):
    """A folder as a reader has it: samples, settings, and runs of the names that the pages use."""
    assert first.returncode == 22, first.stderr
    folder = tmp_path_factory.mktemp("workspace")
    for name in ("scenarios", "slo"):
        shutil.copytree(gating.ROOT / name, folder / name)
    shutil.copyfile(production.folder / "traffic.yaml", folder / "scenarios" / "traffic.yaml")
    for run in RUNS:
        copy = folder / run
        shutil.copytree(production.folder / "runs" / "first", copy)
        manifest = json.loads((copy / "run.json").read_text())
        (copy / "run.json").write_text(json.dumps(manifest | {"run_id": copy.name}))
    (folder / "production.yaml").write_text("")
    return folder


@pytest.fixture(scope="module")
def storage():
    """A bucket called `bucket` on a server that speaks S3; return the settings that lead there."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    server.stop()


@pytest.fixture(scope="module")
def settings(production, storage):
    client = boto3.client(
        "s3",
        endpoint_url=storage["AWS_ENDPOINT_URL"],
        aws_access_key_id="test",
        aws_secret_access_key="test",
        region_name="us-east-1",
    )
    client.create_bucket(Bucket="bucket")
    return production.settings | storage


@pytest.mark.parametrize("words", TO_RUN)
def test_a_command_of_the_docs_works(production, workspace, settings, words):
    if words[:2] == ["scenario", "from-last9"]:  # the last 24 hours of a sandbox end a minute ago
        words = [*words, "--out", "scenarios/production.yaml", "--force"]
        manifest = json.loads((production.folder / "runs/first/run.json").read_text())
        since, until = (manifest[key] // 10**9 for key in ("start_ns", "end_ns"))
        if "--last" in words:
            place = words.index("--last")
            del words[place : place + 2]
        words += ["--from", _iso(since), "--to", _iso(until + 1)]
    if "scenarios/production.yaml" in words and words[0] == "plan":
        shutil.copyfile(
            workspace / "scenarios/traffic.yaml", workspace / "scenarios/production.yaml"
        )
    words = [re.sub(r"\$[A-Z_]+", "1", word) for word in words]  # what a CI system fills in
    if words[0] == "gate" and "--help" not in words:  # one of a few seconds
        words = ["gate", "scenarios/traffic.yaml", *words[2:], "--slo", production.folder / "slo"]
        words += ["--out", "gated"]  # the copies in runs/ would count as earlier looks
    ended = gating.run(*words, cwd=workspace, **settings)
    expected = CODES.get(words[0], DECIDED)
    if words[0] == "plan":
        expected = {0, 24}  # a plan that cannot decide says so with 24
    if words[0] == "check":
        expected = DECIDED | {23}  # a run on a busy machine may have measured only itself
    if "--last" in words:
        expected = {22, 23}  # the sandbox is younger than the minute that is left out
    assert ended.returncode in expected, ended.stdout + ended.stderr


def _iso(seconds):
    from datetime import UTC, datetime

    return datetime.fromtimestamp(seconds, tz=UTC).isoformat()


def test_completion_is_installed_into_the_home_of_whoever_asks(tmp_path):
    command = (
        f"{shlex.quote(str(Path(sys.executable).with_name('tfy-last9')))} --install-completion; :"
    )
    done = subprocess.run(
        ["bash", "-c", command],
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "completion installed" in done.stdout, done.stdout + done.stderr
    assert "tfy-last9" in (tmp_path / ".bashrc").read_text()


def test_the_canary_locustfile_sends_both_arms(production, workspace):
    scenario = (gating.ROOT / "tests" / "data" / "canary.yaml").read_text()
    (workspace / "arms.yaml").write_text(scenario.replace("duration: 5s", "duration: 1s"))
    ended = subprocess.run(
        [sys.executable, "-m", "locust", "-f", gating.ROOT / "locustfiles/canary.py", "--headless"],
        cwd=workspace,
        env=gating.clean_environment(
            **production.settings,
            TFY_SCENARIO="arms.yaml",
            TFY_SLO=str(gating.SLO),
            TFY_OUT="canary-runs",
        ),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode in DECIDED, ended.stdout + ended.stderr
    rows = gating.query(
        f"SELECT arm, count(*) FROM '{workspace}/canary-runs/*/requests.parquet' GROUP BY 1"
    )
    assert {arm for arm, _ in rows} == {"baseline", "canary"}
    assert len({n for _, n in rows}) == 1


def test_users_in_python_send_in_a_closed_loop(production, workspace):
    scenario = (gating.ROOT / "scenarios" / "closed.yaml").read_text()
    brief = scenario.replace("duration: 35s", "duration: 2s").replace(
        "duration: 3s", "duration: 1s"
    )
    (workspace / "loop.yaml").write_text(brief)
    command = ("-f", gating.ROOT / "locustfiles/users.py", "--headless", "--tags", "short")
    ended = subprocess.run(
        [sys.executable, "-m", "locust", *command],
        cwd=workspace,
        env=gating.clean_environment(
            **production.settings,
            TFY_SCENARIO="loop.yaml",
            TFY_SLO=str(gating.SLO),
            TFY_OUT="loop-runs",
        ),
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert "closed loop, 60 users" in ended.stdout, ended.stdout + ended.stderr
    (folder,) = (workspace / "loop-runs").iterdir()
    rows = gating.query(f"SELECT request_id, target FROM '{folder}/requests.parquet' WHERE written")
    assert {target for _, target in rows} == {"openai"}, "the other task has no such tag"
    assert {request_id for request_id, _ in rows} == set(production.served(folder.name))


@pytest.mark.parametrize("pattern", RUN_BY)
def test_the_test_that_runs_a_command_exists(pattern):
    file, _, name = RUN_BY[pattern].partition("::")
    assert f"def {name}(" in (HERE / file).read_text()


def test_no_command_that_sends_load_is_left_out():
    left = [f"locust {line}" for line, _ in lines("locust")]
    left += [line for line, _ in lines("tfy-last9") if line.startswith(("gate", "sandbox"))]
    here = {param.id for param in TO_RUN}
    unknown = [line for line in left if runner_of(line) is None and line not in here]
    assert unknown == []

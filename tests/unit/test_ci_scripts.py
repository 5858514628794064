"""The GitHub Action: its shape, its shell scripts, and the scripts run against a fake GitHub."""

import io
import json
import os
import re
import stat
import subprocess
import sys
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "scripts" / "ci"
ACTION = yaml.safe_load((ROOT / "action.yml").read_text())
MARKER = "<!-- tfy-last9 gate: scenarios/smoke.yaml -->"


class FakeGitHub:
    """Comments and artifacts of one repository, as much of the API as the scripts use."""

    def __init__(self):
        self.comments = []
        self.artifacts = []
        self.archive = b""
        self.calls = []
        self.refuse = None

    def answer(self, method, path, body, headers):  # noqa: PLR0911 - one per endpoint
        self.calls.append((method, path, headers.get("Authorization")))
        if self.refuse:
            return self.refuse, {"message": "Resource not accessible by integration"}
        path, _, query = path.partition("?")
        if path.endswith("/issues/7/comments") and method == "GET":
            page = int(query.rpartition("page=")[2])
            return 200, self.comments[(page - 1) * 100 : page * 100]
        if path.endswith("/issues/7/comments"):
            made = {"id": len(self.comments) + 1, "user": {"type": "Bot"}, **body}
            self.comments.append(made)
            return 201, {"html_url": "http://fake/1"}
        if "/issues/comments/" in path and method == "PATCH":
            wanted = int(path.rpartition("/")[2])
            next(c for c in self.comments if c["id"] == wanted).update(body)
            return 200, {"html_url": "http://fake/2"}
        if path.endswith("/actions/artifacts"):
            return 200, {"artifacts": self.artifacts}
        if path.endswith("/zip"):
            return 200, self.archive
        return 404, {"message": "Not Found"}


@pytest.fixture
def github():
    fake = FakeGitHub()

    class Handler(BaseHTTPRequestHandler):
        def serve(self):
            size = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(size)) if size else None
            status, answer = fake.answer(self.command, self.path, body, self.headers)
            data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PATCH = serve  # noqa: N815 - names of http.server

        def log_message(self, *_):
            """Stay silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    fake.url = f"http://127.0.0.1:{server.server_port}"
    yield fake
    server.shutdown()
    thread.join()
    server.server_close()


def script(name, cwd, **environment):
    """Run a script as the action does, with nothing of ours in its environment."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["bash", str(SCRIPTS / name)],
        cwd=cwd,
        env={"PATH": path, "HOME": str(cwd), **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def comment(github, tmp_path, text="## PASS: smoke\n", **more):
    (tmp_path / "summary.md").write_text(text)
    environment = {
        "GITHUB_API_URL": github.url,
        "GITHUB_REPOSITORY": "acme/gateway",
        "GITHUB_TOKEN": "ghs_secret",
        "PULL_REQUEST": "7",
        "SCENARIO": "scenarios/smoke.yaml",
        "SUMMARY": "summary.md",
    }
    return script("comment", tmp_path, **environment | more)


@pytest.mark.parametrize("path", sorted(SCRIPTS.iterdir()), ids=lambda path: path.name)
def test_a_script_is_valid_bash_and_can_be_run(path):
    done = subprocess.run(["bash", "-n", str(path)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert path.stat().st_mode & stat.S_IXUSR
    assert "set -euo pipefail" in path.read_text()


def test_the_action_has_the_shape_that_github_asks_for():
    """After github.com/SchemaStore/schemastore, github-action.json: composite actions."""
    assert {"name", "description", "runs"} <= set(ACTION)
    assert ACTION["runs"]["using"] == "composite"
    for step in ACTION["runs"]["steps"]:
        assert ("run" in step) != ("uses" in step)
        assert "shell" in step or "uses" in step
        assert set(step) <= {"name", "id", "if", "shell", "env", "run", "uses", "with"}
    for details in ACTION["inputs"].values():
        assert set(details) <= {"description", "required", "default"}
        assert "description" in details
    for details in ACTION["outputs"].values():
        assert set(details) == {"description", "value"}


def test_every_input_output_and_script_that_is_named_exists():
    text = (ROOT / "action.yml").read_text()
    assert set(re.findall(r"inputs\.([a-z-]+)", text)) == set(ACTION["inputs"])
    written = (SCRIPTS / "gate").read_text()
    for name in re.findall(r"steps\.gate\.outputs\.([a-z-]+)", text):
        assert f"output {name} " in written
    for name in re.findall(r"/scripts/ci/([a-z-]+)", text):
        assert (SCRIPTS / name).is_file()


def test_no_expression_is_pasted_into_a_shell_script():
    """An input such as a branch name would be code there; environment variables are data."""
    for step in ACTION["runs"]["steps"]:
        assert "${{" not in step.get("run", "")


def test_secrets_are_no_inputs():
    assert not [name for name in ACTION["inputs"] if "key" in name or "secret" in name]


def test_the_first_run_comments_and_later_runs_rewrite_that_comment(github, tmp_path):
    done = comment(github, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "http://fake/1" in done.stdout
    assert github.comments[0]["body"].startswith(f"{MARKER}\n## PASS: smoke\n")
    comment(github, tmp_path, 'FAIL "quoted" \\ $(id) `x`\n')
    assert len(github.comments) == 1
    assert 'FAIL "quoted" \\ $(id) `x`' in github.comments[0]["body"]


def test_the_comment_is_found_behind_a_hundred_others(github, tmp_path):
    github.comments = [
        {"id": i, "user": {"type": "User"}, "body": "hello"} for i in range(1000, 1100)
    ]
    github.comments.append({"id": 5, "user": {"type": "Bot"}, "body": f"{MARKER}\nold"})
    comment(github, tmp_path, "new\n")
    assert len(github.comments) == 101
    assert "new" in github.comments[-1]["body"]


def test_each_scenario_has_a_comment_of_its_own(github, tmp_path):
    comment(github, tmp_path)
    comment(github, tmp_path, SCENARIO="scenarios/canary.yaml")
    assert len(github.comments) == 2


def test_a_person_who_quotes_the_marker_is_not_rewritten(github, tmp_path):
    github.comments = [{"id": 1, "user": {"type": "User"}, "body": f"{MARKER}\nmine"}]
    comment(github, tmp_path)
    assert github.comments[0]["body"].endswith("mine")
    assert len(github.comments) == 2


def test_a_token_that_may_not_write_is_a_warning_and_no_failure(github, tmp_path):
    github.refuse = 403
    done = comment(github, tmp_path)
    assert done.returncode == 0
    assert done.stdout.startswith("::warning title=No comment on the pull request::")
    assert "403" in done.stdout


def test_the_token_is_sent_and_never_printed(github, tmp_path):
    done = comment(github, tmp_path)
    assert {call[2] for call in github.calls} == {"Bearer ghs_secret"}
    assert "ghs_secret" not in done.stdout + done.stderr


def gate(tmp_path, **environment):
    (tmp_path / "output").touch()
    base = {
        "SCENARIO": "scenarios/smoke.yaml",
        "SLO": "slo",
        "ARGS": "",
        "OUT": "runs",
        "GITHUB_OUTPUT": str(tmp_path / "output"),
        "GITHUB_STEP_SUMMARY": str(tmp_path / "page.md"),
        "RUNNER_TEMP": str(tmp_path),
    }
    done = script("gate", tmp_path, **base | environment)
    lines = (tmp_path / "output").read_text().splitlines()
    return done, dict(line.split("=", 1) for line in lines)


def test_absent_secrets_are_a_labelled_skip_and_never_green(tmp_path):
    done, outputs = gate(tmp_path, TFY_GATEWAY_URL="https://gateway.example")
    assert done.returncode == 0
    assert (outputs["verdict"], outputs["exit-code"]) == ("SKIPPED", "24")
    assert done.stdout.startswith("::error title=SKIPPED, not a PASS::")
    assert "TFY_API_KEY LAST9_REFRESH_TOKEN" in outputs["reason"]
    assert "TFY_GATEWAY_URL" not in outputs["reason"]
    assert (tmp_path / "page.md").read_text().startswith("## SKIPPED: scenarios/smoke.yaml")
    assert Path(outputs["summary"]).is_file()


FAKE = """#!/usr/bin/env bash
echo "$@" >>calls
[ "$1" = gate ] || exit "${KEPT:-0}"
while [ "$1" != --run-id ]; do shift; done
[ -n "${NO_FOLDER:-}" ] || mkdir -p "runs/$2"
[ -z "${STATE:-}" ] || printf '{"state": "%s", "reason": "it\\\\nbroke"}' "$STATE" >"runs/$2/verdict.json"
[ -z "${STATE:-}" ] || echo "## $STATE" >"runs/$2/summary.md"
exit "$CODE"
"""


@pytest.fixture
def fake_gate(tmp_path):
    """A `tfy-last9` that leaves what a test asks for."""
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    (bin_ / "tfy-last9").write_text(FAKE)
    (bin_ / "tfy-last9").chmod(0o755)

    def run(**environment):
        path = f"{bin_}{os.pathsep}{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        return gate(tmp_path, PATH=path, ARGS="--sandbox --rate 5/s", **environment)

    return run


def test_the_outputs_tell_verdict_reason_and_places(fake_gate, tmp_path):
    done, outputs = fake_gate(STATE="FAIL", CODE="20")
    assert done.returncode == 0, done.stderr
    assert (outputs["verdict"], outputs["exit-code"]) == ("FAIL", "20")
    assert outputs["reason"] == "it broke"
    assert outputs["report"] == outputs["summary"] == f"{outputs['run-folder']}/summary.md"
    assert outputs["baseline"] == "tfy-last9-baseline-smoke"
    assert (tmp_path / "calls").read_text().endswith("--github --sandbox --rate 5/s\n")


@pytest.mark.parametrize(
    ("code", "verdict", "ended"),
    [("24", "CONFIGURATION", "24"), ("22", "NO_DATA", "22"), ("0", "ERROR", "23")],
)
def test_an_end_without_a_verdict_is_never_green(fake_gate, code, verdict, ended):
    _, outputs = fake_gate(CODE=code, NO_FOLDER="1")
    assert (outputs["verdict"], outputs["exit-code"]) == (verdict, ended)
    assert "run-folder" not in outputs
    assert Path(outputs["summary"]).read_text().startswith(f"## {verdict}")


def test_the_gate_itself_compares_with_what_was_fetched(fake_gate, tmp_path):
    fake_gate(STATE="FAIL", CODE="20", BASELINE="latest-pass")
    (called,) = (tmp_path / "calls").read_text().splitlines()
    assert f"--baseline latest-pass --baselines {tmp_path}/tfy-last9-baselines" in called


def test_a_bucket_takes_the_place_of_artifacts(fake_gate, tmp_path):
    more = {"BASELINE": "latest-pass", "BASELINES": "s3://bucket/x", "STORE": "true"}
    _, outputs = fake_gate(STATE="PASS", CODE="0", **more)
    called = (tmp_path / "calls").read_text().splitlines()
    assert "--baselines s3://bucket/x" in called[0]
    assert called[1] == f"keep {outputs['run-folder']} s3://bucket/x"
    assert "keep" not in outputs


def test_without_a_baseline_nothing_is_compared(fake_gate, tmp_path):
    fake_gate(STATE="PASS", CODE="0")
    assert "--baseline" not in (tmp_path / "calls").read_text()


def test_a_passing_run_of_the_default_branch_is_kept(fake_gate, tmp_path):
    _, outputs = fake_gate(STATE="PASS", CODE="0", STORE="true")
    assert outputs["keep"] == f"{tmp_path}/tfy-last9-keep/{outputs['run-id']}"


@pytest.mark.parametrize(("kept", "warned"), [("24", False), ("23", True)])
def test_a_run_that_may_not_or_cannot_be_kept_leaves_the_verdict_alone(fake_gate, kept, warned):
    done, outputs = fake_gate(STATE="FAIL", CODE="20", STORE="true", KEPT=kept)
    assert (outputs["verdict"], outputs["exit-code"]) == ("FAIL", "20")
    assert "keep" not in outputs
    assert ("::warning title=Baseline not kept::" in done.stdout) is warned


def test_a_run_of_another_branch_is_not_kept(fake_gate, tmp_path):
    _, outputs = fake_gate(STATE="PASS", CODE="0", STORE="false")
    assert "keep" not in outputs
    assert "keep " not in (tmp_path / "calls").read_text()


def zipped(run_id):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("run.json", json.dumps({"run_id": run_id}))
        archive.writestr("slo/a.yaml", "x")
    return data.getvalue()


def artifact(github, created, branch="main", repository=1, *, expired=False):
    return {
        "created_at": created,
        "expired": expired,
        "archive_download_url": f"{github.url}/repos/acme/gateway/actions/artifacts/{created}/zip",
        "workflow_run": {
            "head_branch": branch,
            "head_repository_id": repository,
            "repository_id": 1,
        },
    }


def fetch(github, tmp_path):
    (tmp_path / "event.json").write_text('{"repository": {"default_branch": "main"}}')
    return script(
        "fetch-baseline",
        tmp_path,
        GITHUB_API_URL=github.url,
        GITHUB_REPOSITORY="acme/gateway",
        GITHUB_TOKEN="ghs_secret",
        GITHUB_EVENT_PATH=str(tmp_path / "event.json"),
        SCENARIO="scenarios/smoke.yaml",
        RUNNER_TEMP=str(tmp_path),
    )


def test_the_newest_stored_run_of_the_default_branch_is_fetched(github, tmp_path):
    github.archive = zipped("20261123-1-smoke")
    github.artifacts = [
        artifact(github, "2026-11-01"),
        artifact(github, "2026-11-02"),
        artifact(github, "2026-11-03", branch="feature"),
        artifact(github, "2026-11-04", repository=2),
        artifact(github, "2026-11-05", expired=True),
    ]
    done = fetch(github, tmp_path)
    assert done.returncode == 0, done.stderr
    assert github.calls[-1][1].endswith("/2026-11-02/zip")
    stored = tmp_path / "tfy-last9-baselines" / "tfy-last9-baseline-smoke.zip"
    assert stored.read_bytes() == github.archive


def test_no_stored_run_is_said_and_is_no_failure(github, tmp_path):
    done = fetch(github, tmp_path)
    assert done.returncode == 0
    assert done.stdout.startswith("::notice title=No baseline::")


def test_what_the_action_installs_for_buckets_is_what_it_installs_anyway_and_more():
    """`make lock` writes both; a runtime requirement in one of them alone would be found in CI only."""
    pins = {
        name: set(
            re.findall(
                r"^([a-z0-9][^ ]*==[^ ;]+)",
                (ROOT / "requirements" / name).read_text(),
                re.MULTILINE,
            )
        )
        for name in ("run.txt", "s3.txt")
    }
    assert pins["run.txt"] < pins["s3.txt"]
    assert any(pin.startswith("s3fs==") for pin in pins["s3.txt"])

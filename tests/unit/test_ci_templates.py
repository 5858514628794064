"""The GitLab template and the pre-commit hook, held against the real command line."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import typer.main
import yaml

from tfy_last9.cli.main import app
from tfy_last9.errors import ExitCode

ROOT = Path(__file__).parents[2]
GITLAB = yaml.safe_load((ROOT / "templates" / "gitlab-ci.yml").read_text())[".tfy-last9-gate"]
(HOOK,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())


def parsed(line):
    program, name, *words = shlex.split(line)
    assert program == "tfy-last9"
    return typer.main.get_command(app).commands[name].make_context(name, words)


def test_gitlabs_own_schema_accepts_the_template():
    passes(
        "vendor.gitlab-ci", ROOT / "templates" / "gitlab-ci.yml", "--data-transform", "gitlab-ci"
    )


def test_githubs_own_schema_accepts_the_action():
    passes("vendor.github-actions", ROOT / "action.yml")


def passes(schema, path, *more):
    tool = Path(sys.executable).with_name("check-jsonschema")
    done = subprocess.run(
        [str(tool), "--builtin-schema", schema, *more, str(path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_gitlab_job_calls_the_command_line_as_it_is():
    (line,) = GITLAB["script"]
    context = parsed(line.replace(" $TFY_LAST9_ARGS", ""))
    assert context.params["run_id"] == "gl-$CI_JOB_ID"


def test_the_gitlab_job_publishes_files_that_the_gate_writes():
    assert set(GITLAB["artifacts"]["reports"].values()) == {
        "runs/gl-$CI_JOB_ID/junit.xml",
        "runs/gl-$CI_JOB_ID/metrics.txt",
    }
    assert GITLAB["artifacts"]["when"] == "always"


def test_only_inconclusive_may_pass_as_a_warning_in_gitlab():
    assert GITLAB["allow_failure"] == {"exit_codes": [int(ExitCode.INCONCLUSIVE)]}


def test_every_variable_of_the_gitlab_job_has_a_default():
    used = re.findall(r"\$(TFY_LAST9_\w+)", yaml.safe_dump(GITLAB))
    assert set(used) <= set(GITLAB["variables"])


def test_the_hook_has_what_pre_commit_asks_for_and_calls_a_real_command():
    """After pre-commit.com, "Creating new hooks": id, name, entry and language are required."""
    assert {"id", "name", "entry", "language"} <= set(HOOK)
    parsed(HOOK["entry"])
    assert HOOK["pass_filenames"] is False


def test_the_hook_runs_for_scenarios_and_slo_files_in_any_depth():
    wanted = ["scenarios/smoke.yaml", "slo/pr/client.yaml", "slo/client.yml"]
    assert all(re.search(HOOK["files"], name) for name in wanted)
    assert not re.search(HOOK["files"], "deploy/kubernetes/gate-job.yaml")

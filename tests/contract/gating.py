"""Run the real `tfy-last9` command in a process of its own, and read what it left behind."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import duckdb

ROOT = Path(__file__).parents[2]
SCENARIO = ROOT / "tests" / "data" / "short.yaml"
SLO = ROOT / "tests" / "data" / "slo"


def clean_environment(**more):
    """Return the environment without any credential a developer may have set."""
    prefixes = ("TFY_", "LAST9_", "LOCUST_", "OTEL_", "GITHUB_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(prefixes)}
    return kept | more


def command(*arguments):
    return [sys.executable, "-m", "tfy_last9", *(str(argument) for argument in arguments)]


def run(*arguments, cwd, timeout=120, **environment):
    """Run the command to its end."""
    return subprocess.run(
        command(*arguments),
        cwd=cwd,
        env=clean_environment(**environment),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def start(*arguments, cwd, **environment):
    """Start the command and return at once."""
    return subprocess.Popen(
        command(*arguments),
        cwd=cwd,
        env=clean_environment(**environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def gate(tmp_path, *arguments, scenario=SCENARIO, **environment):
    """Run a gate in the sandbox and return everything about it."""
    ended = run(
        *("gate", scenario, "--slo", SLO, "--out", tmp_path / "runs", "--sandbox", *arguments),
        cwd=tmp_path,
        **environment,
    )
    return Outcome(ended.returncode, ended.stdout, ended.stderr, tmp_path / "runs")


@dataclass
class Outcome:
    """What a command said, and the one run folder it left."""

    code: int
    out: str
    err: str
    runs: Path

    @cached_property
    def folder(self):
        folders = [path for path in self.runs.iterdir() if (path / "run.json").is_file()]
        assert len(folders) == 1, (folders, self.err)
        return folders[0]

    @cached_property
    def verdict(self):
        return json.loads((self.folder / "verdict.json").read_text())

    @cached_property
    def manifest(self):
        return json.loads((self.folder / "run.json").read_text())

    @cached_property
    def journal(self):
        lines = (self.folder / "sandbox" / "journal.ndjson").read_text().splitlines()
        return [json.loads(line) for line in lines]

    def events(self, name):
        return [event for event in self.journal if event["event"] == name]

    def states(self, objective):
        """Return provider to state for one objective."""
        return {
            dict(finding["group"]).get("provider"): finding["state"]
            for finding in self.verdict["findings"]
            if finding["objective"] == objective
        }

    def ledger(self, columns, where="true"):
        return query(f"SELECT {columns} FROM '{self.folder}/requests.parquet' WHERE {where}")

    def spans(self, columns, where="true"):
        return query(f"SELECT {columns} FROM '{self.folder}/spans.parquet' WHERE {where}")


def query(sql):
    with duckdb.connect() as database:
        return database.execute(sql).fetchall()


def wait_for(condition, timeout_s=30, what="the condition"):
    """Poll until `condition` returns something true, and return that."""
    until = time.monotonic() + timeout_s
    while time.monotonic() < until:
        if found := condition():
            return found
        time.sleep(0.05)
    raise AssertionError(f"{what} did not come about in {timeout_s} s")


def descendants(pid):
    """Return the pids below a process, children of children included."""
    found = []
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        found += [int(child), *descendants(int(child))]
    return found


def is_running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def kill(pid):
    os.kill(pid, signal.SIGKILL)

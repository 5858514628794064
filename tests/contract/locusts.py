"""Start plain Locust on `locustfiles/chat.py`, and read the run folder and the sandbox's journal."""

import json
import os
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import gating
import httpx

CHAT = gating.ROOT / "locustfiles" / "chat.py"


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


@dataclass
class World:
    """A running sandbox."""

    process: subprocess.Popen
    settings: dict
    journal: Path

    def lines(self, run_id):
        """Return what the journal says of the requests of a run."""
        lines = map(json.loads, self.journal.read_text().splitlines())
        return [one for one in lines if one["event"] == "request" and one["run_id"] == run_id]

    def served(self, run_id):
        """Return the request ids that the gateway served for a run."""
        return [one["request_id"] for one in self.lines(run_id)]

    def set_faults(self, *faults):
        url = f"{self.settings['TFY_GATEWAY_URL']}/sandbox/faults"
        key = {"authorization": f"Bearer {self.settings['TFY_API_KEY']}"}
        assert httpx.put(url, json=list(faults), headers=key).is_success


def start_world(folder):
    settings_file = folder / "settings.env"
    process = gating.start(
        "sandbox", "--port", 0, "--env-file", settings_file, "--dir", folder / "sandbox", cwd=folder
    )
    gating.wait_for(
        lambda: settings_file.is_file() or process.poll() is not None, what="the sandbox"
    )
    assert process.poll() is None, process.communicate()
    lines = settings_file.read_text().splitlines()
    settings = {
        name: value.strip('"') for name, _, value in (line.partition("=") for line in lines)
    }
    return World(process, settings, folder / "sandbox" / "journal.ndjson")


def end(process):
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)


SCENARIO = """
name: short
driver: {driver}
seed: 11
targets:
  - {{name: openai, model: openai-main/gpt-4o-mini, provider: openai, weight: 40, max_tokens: 20}}
  - {{name: anthropic, model: anthropic-main/claude-sonnet-4-6, provider: anthropic, weight: 35, max_tokens: 20}}
  - {{name: gemini, model: gemini-main/gemini-2.5-flash, provider: gemini, weight: 25, max_tokens: 20}}
arrivals: {{kind: poisson, rate: {rate}}}
phases: [{{name: warm-up, duration: 1s, judged: false}}, {{name: steady, duration: {duration}}}]
prompts: ["Why is the sky blue?"]
limits: {{users: {users}, first_token: 8s, idle: 5s, total: 15s}}
settle: {{deadline: 12s, late_after: 6s, poll: 500ms}}
"""


def scenario_file(folder, *, rate, users, duration="5s", driver="stream"):
    path = folder / f"{driver}.yaml"
    path.write_text(SCENARIO.format(rate=rate, users=users, duration=duration, driver=driver))
    return path


@dataclass
class LocustRun:
    """Locust, started in a session of its own."""

    process: subprocess.Popen
    folder_of_runs: Path
    log: Path

    @property
    def text(self):
        return self.log.read_text()

    def signal(self, number, *, group=False):
        send = os.killpg if group else os.kill
        send(self.process.pid, number)

    def wait(self, timeout_s=60):
        return self.process.wait(timeout=timeout_s)

    @cached_property
    def outcome(self):
        return gating.Outcome(self.wait(), "", self.text, self.folder_of_runs)

    @property
    def progress(self):
        found = list(self.folder_of_runs.glob("*/.work/progress.json"))
        return json.loads(found[0].read_bytes()) if found else {"finished": 0, "in_flight": 0}

    def until_loaded(self, finished=20):
        """Wait until answers came back and more are on their way."""
        return gating.wait_for(
            lambda: self.process.poll() is None and self.progress["finished"] >= finished,
            what="traffic",
        )

    def kill_all(self):
        if self.process.poll() is None:
            self.signal(signal.SIGKILL, group=True)
            self.process.wait()


def start_locust(folder, settings, *arguments, scenario, locustfile=CHAT, **environment):
    folder.mkdir(exist_ok=True)
    log = folder / "locust.log"
    port = str(free_port())
    more = {
        "TFY_SCENARIO": str(scenario),
        "TFY_SLO": str(gating.SLO),
        "TFY_OUT": str(folder / "runs"),
        "LOCUST_MASTER_BIND_PORT": port,
        "LOCUST_MASTER_NODE_PORT": port,
    }
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "locust", "-f", str(locustfile), *arguments],
            cwd=folder,
            env=gating.clean_environment(**(settings | more | environment)),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return LocustRun(process, folder / "runs", log)

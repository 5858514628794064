"""The load process: Locust, started with the run folder in its environment, watched until it ends."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import orjson

from tfy_last9.adapters.environment import GatewaySettings
from tfy_last9.adapters.runfolder.folder import RunFolder
from tfy_last9.adapters.runfolder.tail import Tail
from tfy_last9.cli.console import Console
from tfy_last9.cli.crew import UNWANTED, Crew
from tfy_last9.cli.panel import LoadView
from tfy_last9.errors import TfyError
from tfy_last9.model.objective import Objective
from tfy_last9.model.scenario import OnInconclusive, Scenario
from tfy_last9.progress.live_run import LiveRun

SPAWN_RATE_PER_S = 100
DRAIN_S = 10
"""How long answers in flight are waited for when a run is ended early."""
GRACE_S = 5.0
SILENCE_S = 25.0
"""The same with workers elsewhere: one that is cut off is waited for until it is given up."""
LOG = "load.log"
LOOK_EVERY_S = 0.2


class LoadProcess:
    """Locust running one scenario."""

    def __init__(
        self,
        folder: RunFolder,
        scenario: Scenario,
        gateway: GatewaySettings,
        crew: Crew,
        arms: Mapping[str, GatewaySettings],
    ) -> None:
        self._folder = folder
        self._scenario = scenario
        self._crew = crew
        self._drain_s = _drain_s(scenario)
        self._log = (folder.path / LOG).open("wb")
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            _command(scenario, crew),
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is ours to handle
            env=_environment(folder, gateway) | _arms(scenario, arms),
        )

    def watch(
        self, console: Console, objectives: Iterable[Objective], check: Callable[[], None]
    ) -> str | None:
        """Wait for the end, showing how it goes; return what went wrong with the process, or None.

        `check` is called often and may raise: the load is then ended before the error goes on.
        """
        view = LoadView(self._scenario.name, LiveRun(self._scenario, objectives))
        tail = Tail(self._folder.work_path)
        try:
            while self._process.poll() is None:
                check()
                time.sleep(LOOK_EVERY_S)
                waiting = self._crew.waiting_line(self._folder.work_path)
                if waiting is not None and read_progress(self._folder) is None:
                    console.tick(waiting)
                elif not console.quiet:
                    feed(view.live, tail, self._folder)
                    console.show(view)
        except KeyboardInterrupt:
            console.hide()
            console.say(
                "interrupted: waiting for answers that are under way; Ctrl-C again stops now"
            )
            self.stop()
            raise
        except TfyError:
            self.stop()
            raise
        finally:
            console.hide()
            self._log.close()
        code = self._process.returncode
        if code == 0:
            return None
        said = _last_error(self._folder.path / LOG)
        return f"the load process ended with exit code {code}{said}, see {LOG}"

    def stop(self) -> None:
        """End the load: what is in flight may finish for a moment; a second Ctrl-C does not wait."""
        self._signal(signal.SIGTERM)
        try:
            grace_s = SILENCE_S if self._crew.expected else GRACE_S
            self._process.wait(timeout=self._drain_s + grace_s)
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            self._signal(signal.SIGKILL)
            self._process.wait()

    def _signal(self, number: signal.Signals) -> None:
        """Signal the process group: Locust's forked workers are in it."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, number)


def _last_error(log: Path) -> str:
    """Return the last error that Locust logged, in parentheses; empty if there is none."""
    lines = log.read_text("utf-8", "replace").splitlines()
    errors = [
        line.partition("/ERROR/")[2].partition(": ")[2] for line in lines if "/ERROR/" in line
    ]
    return f" ({errors[-1]})" if errors else ""


def _command(scenario: Scenario, crew: Crew) -> list[str]:
    command = [sys.executable, "-m", "locust", "-f", str(crew.locustfile), "--headless"]
    command += [
        "--users",
        str(scenario.limits.users),
        "--spawn-rate",
        str(SPAWN_RATE_PER_S * crew.workers),
    ]
    command += ["--only-summary", "--loglevel", "INFO", "--stop-timeout", str(_drain_s(scenario))]
    return command + crew.arguments()


def _drain_s(scenario: Scenario) -> int:
    """Return how long an early end waits; an end that we choose must not turn answers into errors."""
    policy = scenario.policy
    chosen = policy.early_stop or policy.on_inconclusive is OnInconclusive.EXTEND
    return math.ceil(scenario.limits.total_s) + 1 if chosen else DRAIN_S


def _environment(folder: RunFolder, gateway: GatewaySettings) -> dict[str, str]:
    """Return the child's environment: the key travels here, never as an argument."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(UNWANTED)}
    return kept | {
        "TFY_RUN_DIR": str(folder.path.resolve()),
        "TFY_GATEWAY_URL": gateway.url,
        "TFY_API_KEY": gateway.api_key,
    }


def _arms(scenario: Scenario, gateways: Mapping[str, GatewaySettings]) -> dict[str, str]:
    """Return the variables that the arms name: in the sandbox nobody has set them."""
    found = {}
    for arm in scenario.sides:
        found[arm.gateway], found[arm.key] = gateways[arm.name].url, gateways[arm.name].api_key
    return found


def read_progress(folder: RunFolder) -> dict[str, Any] | None:
    """Return the newest progress document of the load process, if there is one."""
    try:
        document: dict[str, Any] = orjson.loads((folder.work_path / "progress.json").read_bytes())
    except (OSError, ValueError):
        return None
    return document


def feed(live: LiveRun, tail: Tail, folder: RunFolder) -> None:
    """Give a live run what the load process has written since."""
    progress = read_progress(folder)
    if progress is not None:
        live.sample(progress)
    live.take(tail.rows())


def expected_duration_s(scenario: Scenario) -> float:
    """Return how long the load takes, start of Locust included, roughly."""
    return scenario.duration_s + scenario.limits.users / SPAWN_RATE_PER_S + 3

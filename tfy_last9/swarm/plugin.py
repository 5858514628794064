"""`install()`: makes a locustfile run scenarios, whoever starts Locust.

Started by `tfy-last9 gate`, TFY_RUN_DIR names the run folder and the gate judges afterwards. Started as
`locust -f locustfiles/chat.py`, the plugin opens a run itself (TFY_SCENARIO, TFY_SLO, TFY_OUT), and has
it judged by a `tfy-last9 check` child process, whose exit code becomes Locust's.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import gevent
import orjson
from locust import events
from locust.env import Environment
from locust.runners import MasterRunner, WorkerRunner

from tfy_last9.adapters.environment import gateway_settings, read_environment
from tfy_last9.adapters.files.scenario import load_scenario
from tfy_last9.adapters.opening import RunRequest, open_run
from tfy_last9.adapters.runfolder.folder import RunFolder
from tfy_last9.errors import ConfigurationError, ExitCode, TfyError
from tfy_last9.model.scenario import Scenario
from tfy_last9.swarm import guard, interrupt
from tfy_last9.swarm.master import Master
from tfy_last9.swarm.run import Run
from tfy_last9.swarm.solo import Solo
from tfy_last9.swarm.users import GatewayUser
from tfy_last9.swarm.worker import Worker, make_arms_driver

SPAWN_RATE_PER_S = 100
"""Users are waiting greenlets; Locust warns above this rate per worker."""
DEFAULT_SCENARIO = "scenarios/smoke.yaml"
_log = logging.getLogger(__name__)


def install(scenario: str = DEFAULT_SCENARIO) -> None:
    """Attach to Locust's events; call it once, at the top of a locustfile. TFY_SCENARIO beats `scenario`."""
    if getattr(events, "tfy_installed", False):
        return
    events.tfy_installed = True
    events.tfy_scenario = scenario
    events.init_command_line_parser.add_listener(_set_defaults)
    events.init.add_listener(_on_init)
    # Registered at import time: runs after Locust has stopped the test (locust fires in reverse).
    events.quitting.add_listener(_on_quitting)


@cache
def _settings() -> dict[str, str]:
    return read_environment()


def _given_folder() -> RunFolder | None:
    path = _settings().get("TFY_RUN_DIR")
    return RunFolder(Path(path)) if path else None


@cache
def _scenario() -> Scenario:
    folder = _given_folder()
    if folder is not None:
        return folder.read_manifest().scenario
    default = getattr(events, "tfy_scenario", DEFAULT_SCENARIO)
    return load_scenario(Path(_settings().get("TFY_SCENARIO", default)))


def _set_defaults(parser: Any, **_: Any) -> None:
    """Fill in what the scenario knows; command line and environment still win."""
    parser.set_defaults(web_host="127.0.0.1")
    try:
        users = _scenario().limits.users
    except TfyError:
        return  # `_on_init` reports it, once
    parser.set_defaults(num_users=users, spawn_rate=SPAWN_RATE_PER_S)


def _on_init(environment: Environment, runner: Any, web_ui: Any, **_: Any) -> None:
    try:
        _attach(environment, runner, web_ui)
    except TfyError as error:
        if not isinstance(runner, WorkerRunner):
            _complain(error)
        raise SystemExit(int(error.exit_code)) from error


def _complain(error: TfyError) -> None:
    sys.stderr.write(f"tfy-last9: {error.message}\n")
    if error.hint:
        sys.stderr.write(f"           {error.hint}\n")


def _attach(environment: Any, runner: Any, web_ui: Any) -> None:
    interrupt.deliver_to_main_greenlet()
    gateway = gateway_settings(_settings())
    if not environment.stop_timeout and not isinstance(runner, WorkerRunner):
        environment.stop_timeout = _scenario().limits.total_s + 1
    if runner is None:  # `run_single_user`
        environment.tfy_worker = Solo(
            environment, _scenario(), make_arms_driver(_scenario(), gateway)
        )
        return
    if not isinstance(runner, WorkerRunner):
        _check_users(environment.user_classes, _scenario())
    if not isinstance(runner, MasterRunner):
        environment.tfy_worker = Worker(environment, gateway)
    if not isinstance(runner, WorkerRunner):
        plugin = _Plugin(environment, gateway.url)
        environment.tfy_plugin = plugin
        environment.tfy_master = Master(environment, plugin.open_run, plugin.on_end)
        environment.events.worker_connect.add_listener(plugin.on_worker_connect)
    options: Any = environment.parsed_options
    is_forked = "TFY_JOINED" in _settings() and bool(options.processes)
    if _given_folder() is not None or is_forked:
        gevent.spawn(_follow_parent, runner, os.getppid())
    if web_ui is not None:
        guard.check_binding(options.web_host, has_login=options.web_login)
        guard.protect(web_ui, gateway.url, has_login=options.web_login)


def _check_users(user_classes: Sequence[type], scenario: Scenario) -> None:
    for kind in user_classes:
        if issubclass(kind, GatewayUser) and not scenario.is_closed:
            raise ConfigurationError(
                f"{kind.__name__} decides itself when to send, but scenario {scenario.name!r} has"
                f" {scenario.arrivals} arrivals",
                hint="give the scenario `arrivals: {kind: closed, users: 20}`, or use ScenarioUser",
            )


def _follow_parent(runner: Any, parent: int) -> None:
    """End the load when the gate (or the `worker` command) that started it is gone: nobody would judge it."""
    while os.getppid() == parent:
        gevent.sleep(1)
    _log.error("the process that started this load is gone; stopping")
    runner.quit()


class _Plugin:
    """Opens runs and has them judged, on the master or in a local run."""

    def __init__(self, environment: Any, gateway_url: str) -> None:
        self._environment = environment
        self._gateway_url = gateway_url
        self._judging: Any = None
        self._joined: set[str] = set()
        self.exit_code: int | None = None

    def open_run(self) -> tuple[RunFolder, Scenario, str]:
        """Return the run folder: the gate's, or a new one."""
        folder = _given_folder()
        if folder is None:
            settings = _settings()
            request = RunRequest(
                scenario=_scenario(),
                slo=Path(settings.get("TFY_SLO", "slo")),
                out=Path(settings.get("TFY_OUT", "runs")),
                gateway_url=self._gateway_url,
                workers=max(1, len(getattr(self._environment.runner, "clients", ()))),
            )
            folder, _ = open_run(request, time.time_ns())
        _log.info("run folder: %s", folder.path)
        self.exit_code = None
        return folder, _scenario(), folder.read_manifest().run_id

    def on_end(self, run: Run) -> None:
        """Have the run judged in the background, so that the web UI stays responsive."""
        if _given_folder() is None:
            self._judging = gevent.spawn(self._judge, run.folder)

    def on_worker_connect(self, client_id: str, **_: Any) -> None:
        """Tell the gate how many workers have joined."""
        folder = _given_folder()
        if folder is not None:
            self._joined.add(client_id)
            document = orjson.dumps({"joined": len(self._joined)})
            (folder.work_path / "joined.json").write_bytes(document)

    def settle(self) -> int | None:
        """Wait for the verdict; None when there was no run, or when the gate judges."""
        if self._judging is not None:
            self._judging.join()
        return self.exit_code

    def _judge(self, folder: RunFolder) -> None:
        command = [sys.executable, "-m", "tfy_last9", "check", str(folder.path)]
        self.exit_code = subprocess.call(command)  # noqa: S603 - our own interpreter and module
        _log.info("verdict of %s: exit code %s", folder.path.name, self.exit_code)


def _on_quitting(environment: Any, **_: Any) -> None:
    """Set Locust's exit code from the verdict, never from its own failure count."""
    plugin: _Plugin | None = getattr(environment, "tfy_plugin", None)
    if plugin is None:  # a worker: the master decides how the run went
        left = "TFY_JOINED" in _settings() and environment.tfy_worker.left_early
        environment.process_exit_code = int(ExitCode.INTERRUPTED if left else ExitCode.PASS)
        return
    environment.tfy_master.end_early()
    if _given_folder() is not None:
        environment.process_exit_code = 0  # the gate looks at the run folder, not at this
        return
    exit_code = plugin.settle()
    environment.process_exit_code = int(ExitCode.ERROR) if exit_code is None else exit_code

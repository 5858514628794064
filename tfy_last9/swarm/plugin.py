"""`install()`: makes a locustfile run scenarios, whoever starts Locust.

Started by `tfy-last9 gate`, TFY_RUN_DIR names the run folder and the gate judges afterwards. Started as
`locust -f locustfiles/chat.py`, the plugin opens a run itself (TFY_SCENARIO, TFY_SLO, TFY_OUT), and has
it judged by a `tfy-last9 check` child process, whose exit code becomes Locust's.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import gevent
from locust import events
from locust.env import Environment
from locust.runners import MasterRunner, WorkerRunner

from tfy_last9.adapters.baselines import LATEST_PASS
from tfy_last9.adapters.environment import gateway_settings, read_environment
from tfy_last9.adapters.files.scenario import load_scenario
from tfy_last9.adapters.runfolder.folder import RunFolder
from tfy_last9.errors import ConfigurationError, ExitCode, TfyError
from tfy_last9.model.scenario import Scenario
from tfy_last9.swarm import guard, interrupt
from tfy_last9.swarm.choices import BASELINE, NONE, SCENARIO, SLO, Choice, Choices, choices, chosen
from tfy_last9.swarm.live import install_live
from tfy_last9.swarm.master import Master
from tfy_last9.swarm.runs import Runs
from tfy_last9.swarm.solo import Solo
from tfy_last9.swarm.users import GatewayUser
from tfy_last9.swarm.worker import Worker, make_arms_driver

SPAWN_RATE_PER_S = 100
"""Users are waiting greenlets; Locust warns above this rate per worker."""
DEFAULT_SCENARIO = "scenarios/smoke.yaml"
_baselines = [NONE, LATEST_PASS]
"""Offered by the start form; what the command line or TFY_BASELINE names joins them."""
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
    """Return the scenario that is meant where nothing else is chosen."""
    folder = _given_folder()
    return load_scenario(_default_scenario()) if folder is None else folder.read_manifest().scenario


def _default_scenario() -> Path:
    return Path(_settings().get("TFY_SCENARIO", getattr(events, "tfy_scenario", DEFAULT_SCENARIO)))


def _offered() -> Choices:
    return choices(_default_scenario(), Path(_settings().get("TFY_SLO", "slo")), _baselines)


def _set_defaults(parser: Any, **_: Any) -> None:
    """Fill in what the scenario knows; command line and environment still win.

    Called again for every page of the web UI, which takes its form from here.
    """
    parser.set_defaults(web_host="127.0.0.1")
    if _given_folder() is None:
        _offer_choices(parser)
    try:
        users = _scenario().limits.users
    except TfyError:
        return  # `_on_init` reports it, once
    parser.set_defaults(num_users=users, spawn_rate=SPAWN_RATE_PER_S)


def _offer_choices(parser: Any) -> None:
    offered = _offered()
    scenarios, slos = list(offered.scenarios), list(offered.slos)
    # On the parser: an argument group knows no `include_in_web_ui`.
    parser.add_argument(
        "--scenario",
        dest=SCENARIO,
        choices=scenarios,
        default=scenarios[0],
        include_in_web_ui=True,
        help="what is sent, and when",
    )
    parser.add_argument(
        "--slo",
        dest=SLO,
        choices=slos,
        default=slos[0],
        include_in_web_ui=True,
        help="SLO files that judge it",
    )
    parser.add_argument(
        "--baseline",
        dest=BASELINE,
        metavar="RUN",
        type=_named_baseline,
        choices=_baselines,
        default=_settings().get("TFY_BASELINE", NONE),
        include_in_web_ui=True,
        help=f"also compare with a run: {LATEST_PASS}, or a stored run's folder (TFY_BASELINE)",
    )


def _named_baseline(text: str) -> str:
    """Take what whoever starts the process names; argparse looks it up in `choices` after this."""
    if text not in _baselines:
        _baselines.append(text)
    return text


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
    if runner is None:  # `run_single_user`
        environment.stop_timeout = environment.stop_timeout or _scenario().limits.total_s + 1
        environment.tfy_worker = Solo(
            environment, _scenario(), make_arms_driver(_scenario(), gateway)
        )
        return
    given = _given_folder()
    has_stop_timeout = bool(environment.stop_timeout)
    if not isinstance(runner, MasterRunner):
        environment.tfy_worker = Worker(environment, gateway)
    if not isinstance(runner, WorkerRunner):
        _check_users(environment.user_classes, _scenario())
        runs = Runs(environment, gateway.url, _settings(), given)
        if given is None:
            runs.choose = lambda: _chosen(environment)
            runs.check(_chosen(environment))
        environment.tfy_runs = runs
        environment.tfy_master = Master(environment, runs.open, runs.on_end)
        environment.events.worker_connect.add_listener(runs.on_worker_connect)
        if not has_stop_timeout:
            runs.allow_stop_timeout(_scenario())
    options: Any = environment.parsed_options
    is_forked = "TFY_JOINED" in _settings() and bool(options.processes)
    if given is not None or is_forked:
        gevent.spawn(_follow_parent, runner, os.getppid())
    if web_ui is not None:
        guard.check_binding(options.web_host, has_login=options.web_login)
        environment.host = environment.host or gateway.url
        guard.protect(web_ui, gateway.url, has_login=options.web_login)
        install_live(environment, web_ui, environment.tfy_runs, _offered)


def _chosen(environment: Any) -> Choice:
    return chosen(_offered(), environment.parsed_options)


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


def _on_quitting(environment: Any, **_: Any) -> None:
    """Set Locust's exit code from the verdict, never from its own failure count."""
    runs: Runs | None = getattr(environment, "tfy_runs", None)
    if runs is None:  # a worker: the master decides how the run went
        left = "TFY_JOINED" in _settings() and environment.tfy_worker.left_early
        environment.process_exit_code = int(ExitCode.INTERRUPTED if left else ExitCode.PASS)
        return
    environment.tfy_master.end_early()
    if _given_folder() is not None:
        environment.process_exit_code = 0  # the gate looks at the run folder, not at this
        return
    exit_code = runs.settle()
    environment.process_exit_code = int(ExitCode.ERROR) if exit_code is None else exit_code

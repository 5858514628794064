"""The main job: load, settle, verify, decide, report."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from shlex import quote

from tfy_last9.adapters.compared import PLACE, found_baseline, wanted_by
from tfy_last9.adapters.environment import (
    GatewaySettings,
    arm_gateways,
    gateway_settings,
    read_environment,
)
from tfy_last9.adapters.files.openslo import load_objectives
from tfy_last9.adapters.files.scenario import load_scenario
from tfy_last9.adapters.last9.settings import Last9Settings, from_environment
from tfy_last9.adapters.opening import RunRequest, open_run
from tfy_last9.adapters.otlp.settings import OtlpSettings, otlp_settings
from tfy_last9.adapters.runfolder.folder import RunFolder
from tfy_last9.adapters.runfolder.seal import seal
from tfy_last9.adapters.truefoundry.control_plane import ControlPlaneSettings
from tfy_last9.arrivals.costs import check_budget
from tfy_last9.cli.accounts import account_lines
from tfy_last9.cli.budgeting import limited, spending_lines
from tfy_last9.cli.collecting import Collector
from tfy_last9.cli.console import Console
from tfy_last9.cli.crew import Crew
from tfy_last9.cli.exporting import export_after
from tfy_last9.cli.judging import conclude
from tfy_last9.cli.load import LoadProcess, expected_duration_s
from tfy_last9.cli.markers import Markers
from tfy_last9.cli.planning import check_decidable
from tfy_last9.cli.preflight import check_gateway, check_last9, follow_one_trace
from tfy_last9.cli.publishing import GitHub
from tfy_last9.cli.refusing import check_out, refuse_outside_the_sandbox
from tfy_last9.cli.resuming import checked_run_id, resume
from tfy_last9.cli.retrying import Place, earlier_looks
from tfy_last9.cli.sandbox import Sandbox, SandboxRequest
from tfy_last9.cli.sandbox_place import SandboxPlace
from tfy_last9.cli.watchdog import EnoughIsKnown, Watchdog
from tfy_last9.errors import (
    ConfigurationError,
    HarnessError,
    MissingSettings,
)
from tfy_last9.judge.looks import with_stretches
from tfy_last9.model.objective import Objective
from tfy_last9.model.run import Manifest, Retry
from tfy_last9.model.scenario import Scenario


@dataclass(frozen=True, slots=True)
class GateRequest:
    """The command line of `gate`."""

    scenario: Path
    slo: Path
    out: Path
    sandbox: bool
    sandbox_port: int
    faults: tuple[str, ...]
    client_only: bool
    crew: Crew
    rate_per_s: float | None
    duration_s: float | None
    seed: int | None
    as_json: bool
    github: GitHub | None = None
    gateway_config: Path | None = None
    """The sandbox gateway's YAML file."""
    gateway_switches: tuple[str, ...] = ()
    """Behaviour of the sandbox's gateway, as `span-kinds=internal`."""
    run_id: str | None = None
    """A run of this id is finished if it exists, and made if not; None: a new id."""
    retry_of: Path | None = None
    """An undecided run that this one repeats, or `latest`."""
    export: bool | None = None
    """Send the run's own spans and metrics to Last9; None: as `LAST9_OTLP_EXPORT` says."""
    baseline: str | None = None
    """`latest-pass`, or a stored run to compare with; None: judge the run alone."""
    baselines: str | None = None
    """Where baselines are kept; None: as `TFY_BASELINES` says, else beside the run."""
    users: int | None = None
    """Most concurrent requests; None: as the scenario says."""
    budget_usd: float | None = None
    """Beats the scenario's `limits: {usd: ...}`."""


@dataclass(frozen=True, slots=True)
class World:
    """Where the run takes place."""

    gateway: GatewaySettings
    arms: Mapping[str, GatewaySettings]
    """Gateway per arm; empty without arms."""
    last9: Last9Settings | None
    """None only for `--client-only`."""
    control_plane: ControlPlaneSettings | None
    sandbox: Sandbox | None
    otlp: OtlpSettings | None = None
    """Where the run's own spans and metrics go; None: nowhere."""

    def check(self) -> None:
        """Raise if the sandbox died."""
        if self.sandbox is not None:
            self.sandbox.check()


def run_gate(request: GateRequest, console: Console) -> int:
    """Run the whole job and return its exit code."""
    scenario = with_stretches(overridden(load_scenario(request.scenario), request))
    objectives = load_objectives(request.slo)
    check_budget(scenario, request.crew.workers)
    check_decidable(scenario, objectives, client_only=request.client_only)
    if not request.sandbox:
        refuse_outside_the_sandbox(
            {
                "--fault": request.faults,
                "--gateway-config": request.gateway_config,
                "--gateway-switch": request.gateway_switches,
            }
        )
    request.crew.check(sandbox=request.sandbox)
    if request.run_id is not None:
        known = RunFolder(request.out / checked_run_id(request.run_id))
        if known.path.is_dir():
            return resume(
                *(known, scenario, request.slo, console),
                as_json=request.as_json,
                github=request.github,
                export=request.export,
            )
    check_out(request.out)
    retry = None
    if request.retry_of is not None:
        url = None if request.sandbox else gateway_settings(read_environment()).url
        here = Place(request.sandbox, request.client_only, url)
        retry = earlier_looks(
            *(request.retry_of, request.out, scenario, request.slo, here, console)
        )
    with ExitStack() as stack:
        place = stack.enter_context(SandboxPlace(request.out)) if request.sandbox else None
        wanted = wanted_by(scenario, sandbox=request.sandbox, client_only=request.client_only)
        kept = request.baselines or os.environ.get(PLACE) or str(request.out)
        compared = stack.enter_context(
            found_baseline(request.baseline, kept, scenario, wanted, console.say)
        )
        world = _enter_world(request, scenario, place, stack, console)
        _preflight(scenario, world, request.crew.workers, console)
        folder, objectives = open_run(_run_request(request, scenario, world, retry), time.time_ns())
        if place is not None:
            place.run = folder
        if compared is not None:
            compared.attach(folder)
        return _run(request, folder, objectives, world, console)


def overridden(scenario: Scenario, request: GateRequest) -> Scenario:
    """Apply `--rate`, `--duration` and `--seed`."""
    phases = scenario.phases
    if scenario.is_shaped and (request.rate_per_s or request.duration_s):
        raise ConfigurationError(
            f"--rate and --duration do not fit {scenario.arrivals} arrivals, which set rates and times",
            hint="change the scenario file",
        )
    if scenario.is_closed and request.rate_per_s:
        raise ConfigurationError(
            "--rate does not fit a closed loop, in which answers set the rate",
            hint="change `users` or `think` in the scenario file",
        )
    if request.rate_per_s is not None:
        phases = tuple(replace(phase, rate_per_s=request.rate_per_s) for phase in phases)
    if request.duration_s is not None:
        judged_s = sum(phase.duration_s for phase in phases if phase.judged)
        factor = request.duration_s / judged_s
        phases = tuple(
            replace(phase, duration_s=phase.duration_s * factor) if phase.judged else phase
            for phase in phases
        )
    seed = scenario.seed if request.seed is None else request.seed
    limits = replace(scenario.limits, users=request.users or scenario.limits.users)
    limits = limited(limits, request.budget_usd, rehearses=bool(request.faults))
    return replace(scenario, phases=phases, seed=seed, limits=limits)


def _enter_world(
    request: GateRequest,
    scenario: Scenario,
    place: SandboxPlace | None,
    stack: ExitStack,
    console: Console,
) -> World:
    sandbox = None
    if place is not None:
        wanted = SandboxRequest(
            *(place.path, request.sandbox_port, request.faults, scenario.seed),
            gateway_config=request.gateway_config,
            gateway_options=tuple(f"--{switch}" for switch in request.gateway_switches),
        )
        sandbox = stack.enter_context(Sandbox(wanted))
        environment = sandbox.environment
        console.say("sandbox: simulated providers, gateway and Last9 are up" + _faulty(request))
    else:
        environment = read_environment()
    gateway = gateway_settings(environment)
    if sandbox is None:
        arms = arm_gateways(environment, scenario)
    else:  # there is one gateway in the sandbox, whatever the arms name
        arms = {arm.name: gateway for arm in scenario.sides}
    last9 = None if request.client_only else from_environment(environment)
    if last9 is None and not request.client_only:
        raise MissingSettings(
            "LAST9_REFRESH_TOKEN is not set, so no trace could be verified",
            hint="set it to a refresh token with read scope, use --sandbox to rehearse, "
            "or --client-only to judge the client's ledger alone",
        )
    otlp = otlp_settings(environment, wanted=request.export)
    return World(gateway, arms, last9, ControlPlaneSettings.of(environment), sandbox, otlp)


def _faulty(request: GateRequest) -> str:
    return f", with faults {', '.join(request.faults)}" if request.faults else ""


def _preflight(scenario: Scenario, world: World, workers: int, console: Console) -> None:
    for line in spending_lines(scenario, workers):
        console.say(f"preflight: {line}")
    if world.sandbox is None:
        for line in account_lines(scenario, world.gateway, world.arms):
            console.say(f"preflight: {line}")
    if world.last9 is not None:
        check_last9(world.last9, console)
    probes = check_gateway(scenario, world.gateway, world.arms, console)
    world.check()
    if world.last9 is not None:
        follow_one_trace(probes, world.last9, console)


def _run_request(
    request: GateRequest, scenario: Scenario, world: World, retry: Retry | None
) -> RunRequest:
    return RunRequest(
        scenario=scenario,
        slo=request.slo,
        out=request.out,
        gateway_url=world.gateway.url,
        workers=request.crew.workers,
        sandbox=request.sandbox,
        client_only=request.client_only,
        faults=request.faults,
        run_id=request.run_id,
        retry=retry,
    )


def _run(
    request: GateRequest,
    folder: RunFolder,
    objectives: tuple[Objective, ...],
    world: World,
    console: Console,
) -> int:
    scenario = folder.read_manifest().scenario
    console.say(
        f"load: {scenario.name} on {world.gateway.url}, about {expected_duration_s(scenario):.0f} s"
    )
    markers = Markers(folder, world.last9, console)
    markers.started()
    with ExitStack() as stack:
        collector = looks = None
        if world.last9 is not None:
            made = Collector(folder, objectives, world.last9, world.control_plane)
            collector = stack.enter_context(made)
            collector.start_watching()
            looks = collector.look_at_spans()
        watchdog = Watchdog(folder, scenario, objectives, console, looks)
        problem, ended = _load(folder, scenario, world, request.crew, watchdog, console)
        manifest = _seal(folder, problem, ended)
        is_whole = manifest.ended == "schedule" or manifest.early_stop is not None
        if collector is not None and is_whole and problem is None:
            _collect(collector, manifest, folder, console)
        code = conclude(folder, objectives, console, as_json=request.as_json, github=request.github)
    markers.ended()
    export_after(folder, world.otlp, console)
    return code


def _load(
    folder: RunFolder,
    scenario: Scenario,
    world: World,
    crew: Crew,
    watchdog: Watchdog,
    console: Console,
) -> tuple[str | None, str | None]:
    """Send the load; return what went wrong, and "interrupted" if the user ended it."""
    load = LoadProcess(folder, scenario, world.gateway, crew, world.arms)
    objectives = load_objectives(folder.slo_path)
    crew.announce(console)

    def check() -> None:
        world.check()
        watchdog.look()

    try:
        return load.watch(console, objectives, check), None
    except EnoughIsKnown as enough:
        console.say(enough.message)
        folder.write_manifest(replace(folder.read_manifest(), early_stop=enough.stop))
        return None, "stopped"
    except HarnessError as error:
        console.error(error)
        return error.message, None
    except KeyboardInterrupt:
        console.say("stopped: keeping what was recorded")
        return None, "interrupted"


def _seal(folder: RunFolder, problem: str | None, ended: str | None) -> Manifest:
    """Seal the ledger, and write down how the load ended where the load process could not."""
    manifest = seal(folder)
    if problem is not None:  # we ended it because of that: not the user, and not by its schedule
        problems = (problem, *manifest.problems)
        manifest = replace(manifest, problems=problems, ended="stopped")
    if ended is not None:
        manifest = replace(manifest, ended=ended)
    folder.write_manifest(manifest)
    return manifest


def _collect(collector: Collector, manifest: Manifest, folder: RunFolder, console: Console) -> None:
    try:
        record = collector.collect(manifest, console)
    except KeyboardInterrupt:
        console.say("interrupted while waiting for traces: the ledger is kept")
        folder.write_manifest(replace(manifest, ended="unsettled"))
        return
    if record.error is not None or not record.settled:
        console.say(f"fetch again later with: tfy-last9 collect {quote(str(folder.path))}")

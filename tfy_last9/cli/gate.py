"""The main job: load, settle, verify, decide, report."""

from __future__ import annotations

import os
import time
from contextlib import ExitStack
from dataclasses import replace
from shlex import quote

from tfy_last9.adapters.compared import PLACE, found_baseline, wanted_by
from tfy_last9.adapters.environment import (
    gateway_settings,
    read_environment,
)
from tfy_last9.adapters.files.openslo import load_objectives
from tfy_last9.adapters.files.scenario import load_scenario
from tfy_last9.adapters.opening import RunRequest, open_run
from tfy_last9.adapters.runfolder.folder import RunFolder
from tfy_last9.adapters.runfolder.seal import seal
from tfy_last9.arrivals.costs import check_budget
from tfy_last9.cli.accounts import account_lines
from tfy_last9.cli.budgeting import spending_lines
from tfy_last9.cli.collecting import Collector
from tfy_last9.cli.console import Console
from tfy_last9.cli.crew import Crew
from tfy_last9.cli.exporting import export_after
from tfy_last9.cli.gate_request import GateRequest, overridden
from tfy_last9.cli.judging import conclude
from tfy_last9.cli.load import LoadProcess, expected_duration_s
from tfy_last9.cli.markers import Markers
from tfy_last9.cli.planning import check_decidable
from tfy_last9.cli.preflight import check_gateway, check_last9, follow_one_trace
from tfy_last9.cli.refusing import check_out, refuse_outside_the_sandbox
from tfy_last9.cli.resuming import checked_run_id, resume
from tfy_last9.cli.retrying import Place, earlier_looks
from tfy_last9.cli.sandbox_place import SandboxPlace
from tfy_last9.cli.watchdog import EnoughIsKnown, Watchdog
from tfy_last9.cli.world import World, enter_world
from tfy_last9.errors import (
    HarnessError,
)
from tfy_last9.judge.looks import with_stretches
from tfy_last9.model.objective import Objective
from tfy_last9.model.run import Manifest, Retry
from tfy_last9.model.scenario import Scenario


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
        world = enter_world(request, scenario, place, stack, console)
        _preflight(scenario, world, request.crew.workers, console)
        folder, objectives = open_run(_run_request(request, scenario, world, retry), time.time_ns())
        if place is not None:
            place.run = folder
        if compared is not None:
            compared.attach(folder)
        return _run(request, folder, objectives, world, console)


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

"""`tfy-last9 gate`: its arguments to a request."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from tfy_last9.adapters.files.scenario_parts import parse_duration, parse_rate
from tfy_last9.cli.budgeting import checked_budget
from tfy_last9.cli.capacity import find_capacity as search_capacity
from tfy_last9.cli.console import Console
from tfy_last9.cli.crew import MASTER_PORT, Crew, LocustfileOption, checked_locustfile
from tfy_last9.cli.gate import run_gate
from tfy_last9.cli.gate_request import GateRequest
from tfy_last9.cli.options import (
    BaselinesOption,
    ExportOption,
    GatewayConfigOption,
    GatewaySwitchOption,
    GitHubOption,
    OutOption,
    QuietOption,
    ScenarioArgument,
    SloOption,
)
from tfy_last9.cli.publishing import github_wanted


def gate(
    scenario: ScenarioArgument,
    slo: SloOption = Path("slo"),
    out: OutOption = Path("runs"),
    sandbox: Annotated[
        bool, typer.Option("--sandbox", help="Run in the embedded sandbox.")
    ] = False,
    sandbox_port: Annotated[
        int, typer.Option(help="First of the sandbox's three ports; 0: any free ones.")
    ] = 0,
    fault: Annotated[
        list[str] | None,
        typer.Option("--fault", help="Sandbox fault, for example trace_loss=0.05; repeatable."),
    ] = None,
    gateway_config: GatewayConfigOption = None,
    gateway_switch: GatewaySwitchOption = None,
    client_only: Annotated[
        bool, typer.Option("--client-only", help="Judge the client's ledger alone, without Last9.")
    ] = False,
    processes: Annotated[int, typer.Option(min=1, help="Locust worker processes.")] = 1,
    expect_workers: Annotated[
        int, typer.Option(min=0, help="Wait for so many `tfy-last9 worker`, which send the load.")
    ] = 0,
    master_bind_host: Annotated[
        str, typer.Option(help="Where workers reach this gate; 0.0.0.0: from other machines.")
    ] = "127.0.0.1",
    master_bind_port: Annotated[int, typer.Option(help="Port for workers.")] = MASTER_PORT,
    locustfile: LocustfileOption = None,
    rate: Annotated[str | None, typer.Option(help="Arrivals in all phases, as 80/s.")] = None,
    duration: Annotated[
        str | None, typer.Option(help="Length of the judged part, as 30s or 5m.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Seed of the schedule and of sandbox faults.")
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help="Print verdict.json instead of the table.")
    ] = False,
    github: GitHubOption = None,
    run_id: Annotated[
        str | None, typer.Option(help="Name the run; if it exists, finish it and send nothing.")
    ] = None,
    retry_of: Annotated[
        Path | None,
        typer.Option(
            help="Undecided run to repeat as a planned look, or latest: the newest in --out."
        ),
    ] = None,
    baseline: Annotated[
        str | None,
        typer.Option(help="Also compare with a run: latest-pass, or a stored run's folder."),
    ] = None,
    baselines: BaselinesOption = None,
    export: ExportOption = None,
    find_capacity: Annotated[
        bool,
        typer.Option("--find-capacity", help="Find the highest rate that meets every objective."),
    ] = False,
    allow_spend: Annotated[
        bool, typer.Option("--allow-spend", help="Let --find-capacity load a real gateway.")
    ] = False,
    max_rate: Annotated[
        str | None,
        typer.Option(help="Greatest rate that --find-capacity tries; default: 32 times the first."),
    ] = None,
    budget_usd: Annotated[
        float | None, typer.Option(help="End the run cleanly before it can cost more.")
    ] = None,
    quiet: QuietOption = False,
) -> None:
    """Load the gateway, wait for its traces in Last9, decide the SLOs, report.

    Example: tfy-last9 gate scenarios/smoke.yaml --sandbox --fault provider_latency:anthropic=2s
    """
    request = GateRequest(
        scenario=scenario,
        slo=slo,
        out=out,
        sandbox=sandbox,
        sandbox_port=sandbox_port,
        faults=tuple(fault or ()),
        gateway_config=gateway_config,
        gateway_switches=tuple(gateway_switch or ()),
        client_only=client_only,
        crew=Crew(
            *(processes, expect_workers, master_bind_host, master_bind_port),
            locustfile=checked_locustfile(locustfile),
        ),
        rate_per_s=_parsed(parse_rate, rate),
        duration_s=_parsed(parse_duration, duration),
        seed=seed,
        as_json=json,
        github=github_wanted(github, slo),
        run_id=run_id,
        retry_of=retry_of,
        export=export,
        baseline=baseline,
        baselines=baselines,
        budget_usd=checked_budget(budget_usd),
    )
    console = Console(quiet=quiet)
    if find_capacity:
        most = _parsed(parse_rate, max_rate)
        code = search_capacity(request, console, allow_spend=allow_spend, most_per_s=most)
        raise typer.Exit(code)
    raise typer.Exit(run_gate(request, console))


def _parsed(parse: Callable[[object], float], text: str | None) -> float | None:
    try:
        return None if text is None else parse(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error

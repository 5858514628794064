"""Commands for the time before a run: plan, lint, doctor, sandbox."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tfy_last9.adapters.environment import read_environment
from tfy_last9.adapters.files.openslo import load_objectives
from tfy_last9.adapters.files.scenario import load_scenario
from tfy_last9.adapters.runfolder.folder import RunFolder
from tfy_last9.adapters.runfolder.spending import read_spending
from tfy_last9.cli.console import Console
from tfy_last9.cli.doctor import DoctorRequest, examine
from tfy_last9.cli.lint import lint_paths
from tfy_last9.cli.options import (
    GatewayConfigOption,
    GatewaySwitchOption,
    ScenarioArgument,
    SloOption,
)
from tfy_last9.cli.planning import describe
from tfy_last9.cli.sandbox import Sandbox, SandboxRequest


def plan(
    scenario: ScenarioArgument,
    slo: SloOption = Path("slo"),
    like: Annotated[
        Path | None, typer.Option(help="Stored run that says what a request takes: tokens, cost.")
    ] = None,
) -> None:
    """Say what a run would send, and which objectives it can decide, before anything is spent.

    Example: tfy-last9 plan scenarios/smoke.yaml --slo slo/pr
    """
    text, exit_code = describe(
        load_scenario(scenario),
        load_objectives(slo),
        None if like is None else read_spending(RunFolder(like)),
    )
    Console().result(text)
    raise typer.Exit(exit_code)


def lint(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(help="Scenario and SLO files or folders; default: both folders."),
    ] = None,
) -> None:
    """Check scenarios and SLO files: errors with file, line and a suggestion.

    Example: tfy-last9 lint scenarios slo/pr
    """
    Console().result(lint_paths(paths or [Path("scenarios"), Path("slo")]))


def doctor(
    scenario: Annotated[Path, typer.Option(help="Its first target is sent one request.")] = Path(
        "scenarios/smoke.yaml"
    ),
    record: Annotated[
        Path | None,
        typer.Option(help="Ask Last9 what its docs leave open; write samples without texts here."),
    ] = None,
    last9_only: Annotated[
        bool, typer.Option("--last9-only", help="Send nothing to the gateway.")
    ] = False,
) -> None:
    """Check the set-up step by step: token, region, OTLP settings, one request followed to its trace.

    Example: tfy-last9 doctor --record samples/
    """
    request = DoctorRequest(scenario, record, last9_only)
    raise typer.Exit(examine(request, read_environment(), Console()))


def sandbox(
    port: Annotated[
        int, typer.Option(help="First of three ports: gateway, Last9, providers.")
    ] = 14000,
    env_file: Annotated[
        Path | None, typer.Option(help="Write the settings here, for `locust -f` to read.")
    ] = None,
    fault: Annotated[list[str] | None, typer.Option("--fault", help="Fault; repeatable.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of latencies and faults.")] = 0,
    folder: Annotated[Path, typer.Option("--dir", help="Where the journal is written.")] = Path(
        "runs/sandbox"
    ),
    data: Annotated[
        Path | None, typer.Option(help="Where Last9 keeps its spans; default: last9/ in --dir.")
    ] = None,
    tls: Annotated[
        bool, typer.Option("--tls", help="Serve Last9 over https, with a certificate made for it.")
    ] = False,
    gateway_config: GatewayConfigOption = None,
    last9_switch: Annotated[
        list[str] | None,
        typer.Option(help="Last9 behaviour, for example lag-ms=2000; repeatable."),
    ] = None,
    gateway_switch: GatewaySwitchOption = None,
) -> None:
    """Run the simulated providers, gateway and Last9 in the foreground, until Ctrl-C.

    Example: tfy-last9 sandbox --env-file .env --fault trace_loss=0.05
    """
    request = SandboxRequest(
        *(folder, port, tuple(fault or ()), seed, env_file, data, tls),
        gateway_config=gateway_config,
        last9_options=tuple(f"--{switch}" for switch in last9_switch or ()),
        gateway_options=tuple(f"--{switch}" for switch in gateway_switch or ()),
    )
    console = Console()
    with Sandbox(request) as running:
        for name in ("TFY_GATEWAY_URL", "LAST9_API_URL", "LAST9_OTLP_ENDPOINT", "TFY_CA_BUNDLE"):
            if name in running.environment:
                console.say(f"{name}={running.environment[name]}")
        if env_file is not None:
            console.say(f"all settings, keys included, are in {env_file}")
        console.say("sandbox is up; Ctrl-C ends it")
        try:
            running.wait()
        except KeyboardInterrupt:
            console.say("sandbox: stopping")
    raise typer.Exit(0)

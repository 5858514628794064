"""The `tfy-last9` command: arguments to use cases, errors to messages and exit codes."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Annotated, NoReturn

import typer

from tfy_last9.adapters.compared import PLACE
from tfy_last9.adapters.environment import read_environment
from tfy_last9.adapters.files.openslo import load_objectives
from tfy_last9.adapters.files.scenario import load_scenario
from tfy_last9.adapters.files.scenario_parts import parse_duration, parse_rate
from tfy_last9.adapters.last9.settings import from_environment
from tfy_last9.adapters.otlp.settings import otlp_settings
from tfy_last9.adapters.runfolder.folder import RunFolder
from tfy_last9.adapters.runfolder.spending import read_spending
from tfy_last9.cli import judging
from tfy_last9.cli.baseline import keep_run, stored_run
from tfy_last9.cli.budgeting import checked_budget
from tfy_last9.cli.capacity import find_capacity as search_capacity
from tfy_last9.cli.comparing import compare_runs
from tfy_last9.cli.console import Console
from tfy_last9.cli.crew import MASTER_PORT, Crew, LocustfileOption, checked_locustfile, worker
from tfy_last9.cli.doctor import DoctorRequest, examine
from tfy_last9.cli.exporting import export, export_after
from tfy_last9.cli.from_last9 import app as scenarios
from tfy_last9.cli.gate import GateRequest, run_gate
from tfy_last9.cli.lint import lint_paths
from tfy_last9.cli.live import LiveRequest, fetch_live
from tfy_last9.cli.planning import describe
from tfy_last9.cli.publishing import github_wanted, tell_github
from tfy_last9.cli.recollect import collect_again
from tfy_last9.cli.sandbox import Sandbox, SandboxRequest
from tfy_last9.cli.starting import init
from tfy_last9.cli.traces import TracesRequest, show_traces
from tfy_last9.errors import ConfigurationError, ExitCode, TfyError

app = typer.Typer(
    name="tfy-last9",
    help="Is this LLM gateway safe to release? Load it, read its traces back from Last9, and decide.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

FRAMEWORK_CODES: dict[object, ExitCode] = {1: ExitCode.INTERRUPTED, 2: ExitCode.CONFIGURATION}
"""What Typer exits with on its own: 1 after Ctrl-C, 2 for a command line it cannot read."""
INNERMOST = 6
"""Frames of an internal fault that are shown: the rest is the command line's own machinery."""
RunArgument = Annotated[Path, typer.Argument(help="Run folder, for example runs/20261123-...")]
OutOption = Annotated[Path, typer.Option("--out", help="Where run folders are made.")]
SloOption = Annotated[Path, typer.Option("--slo", help="OpenSLO file, or folder of them.")]
ScenarioArgument = Annotated[Path, typer.Argument(help="Scenario file.")]
GatewayConfigOption = Annotated[
    Path | None,
    typer.Option(help="YAML of the sandbox gateway: routes, limits, guardrails, export."),
]
GatewaySwitchOption = Annotated[
    list[str] | None,
    typer.Option(help="Sandbox gateway, for example target-shape=nested; repeatable."),
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Print the answer alone.")]


GitHubOption = Annotated[
    bool | None,
    typer.Option(
        "--github/--no-github",
        help="Annotations and step summary; default: where GITHUB_ACTIONS is true.",
    ),
]
BaselinesOption = Annotated[
    str | None,
    typer.Option(
        help="Where latest-pass looks: a folder, CI artifacts, s3://bucket/prefix; default: TFY_BASELINES,"
        " else beside the run."
    ),
]
ExportOption = Annotated[
    bool | None,
    typer.Option(
        "--export/--no-export",
        help="Send the run's own spans and metrics to Last9; default: LAST9_OTLP_EXPORT.",
    ),
]


app.command()(init)
app.command()(export)
app.command("keep")(keep_run)
app.add_typer(scenarios, name="scenario")
app.command()(worker)


@app.command()
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


@app.command()
def check(
    run: Annotated[
        Path | None, typer.Argument(help="Run folder; leave out to judge live traces.")
    ] = None,
    last: Annotated[
        str | None, typer.Option(help="Judge live traces of so long, as 1h: no load is sent.")
    ] = None,
    start: Annotated[
        str | None, typer.Option("--from", help="Judge live traces from 2026-11-23T14:00:00Z.")
    ] = None,
    end: Annotated[
        str | None, typer.Option("--to", help="Up to here; default: a minute ago.")
    ] = None,
    slo: Annotated[
        Path | None,
        typer.Option(help="What if: judge a run with these files. Live: default slo/production."),
    ] = None,
    out: OutOption = Path("runs"),
    json: Annotated[
        bool, typer.Option("--json", help="Print verdict.json instead of the table.")
    ] = False,
    github: GitHubOption = None,
    quiet: QuietOption = False,
    events: Annotated[
        bool, typer.Option("--events", hidden=True, help="Progress as JSON lines, for the web UI.")
    ] = False,
) -> None:
    """Decide again from a run folder: offline, with the SLO files stored in it, to the same bytes.

    A run that was never collected (`locust -f` ends so) has its evidence fetched first. With `--last` or
    `--from` production is judged instead, from its traces alone.

    Example: tfy-last9 check --last 1h
    """
    console = Console(quiet=quiet, events=events)
    if (run is None) == (last is None and start is None and end is None):
        raise ConfigurationError(
            "check needs either a run folder, or --last (or --from and --to) for live traces",
            hint="tfy-last9 check runs/20261123-... or tfy-last9 check --last 1h",
        )
    if run is None:
        live = LiveRequest(last, start, end, slo or Path("slo/production"), out)
        folder, slo = fetch_live(live, console), None
    else:
        folder = RunFolder(run)
    is_new = run is not None and not folder.verdict_path.is_file()
    folder.read_manifest()
    environment = read_environment()
    judging.complete(folder, from_environment(environment), console)
    if slo is not None:
        raise typer.Exit(judging.conclude_what_if(folder, slo, console))
    objectives = load_objectives(folder.slo_path)
    wanted = github_wanted(github, Path("slo"))
    code = judging.conclude(folder, objectives, console, as_json=json, github=wanted)
    if is_new:  # `locust -f` ends here; looking at a run again sends nothing
        export_after(folder, otlp_settings(environment), console)
    raise typer.Exit(code)


@app.command()
def collect(run: RunArgument, quiet: QuietOption = False) -> None:
    """Fetch the evidence of a stored run again, from any machine; decide again and say what changed.

    Example: tfy-last9 collect runs/20261123-...
    """
    settings = from_environment(read_environment())
    raise typer.Exit(collect_again(RunFolder(run), settings, Console(quiet=quiet)))


@app.command()
def report(run: RunArgument, github: GitHubOption = None) -> None:
    """Write all reports of a judged run again, from its verdict.json; change no verdict.

    Example: tfy-last9 report runs/20261123-...
    """
    folder = RunFolder(run)
    verdict = judging.render_again(folder)
    tell_github(github_wanted(github, Path("slo")), folder, verdict, json=False)
    Console().say(f"reports written: {folder.path}")


@app.command()
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


@app.command()
def traces(
    run: RunArgument,
    where: Annotated[
        list[str] | None,
        typer.Option("--where", help="Label, for example provider=openai; repeatable."),
    ] = None,
    slowest: Annotated[int | None, typer.Option(min=1, help="The N slowest requests.")] = None,
    failed: Annotated[bool, typer.Option("--failed", help="Requests that failed.")] = False,
    missing: Annotated[
        bool, typer.Option("--missing", help="Requests whose trace is missing.")
    ] = False,
    trace: Annotated[str | None, typer.Option(help="One trace id.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 20,
) -> None:
    """Drill down: ledger rows with their span trees.

    Example: tfy-last9 traces runs/20261123-... --where provider=openai --slowest 5
    """
    request = TracesRequest(tuple(where or ()), slowest, failed, missing, trace, limit)
    show_traces(RunFolder(run), request, Console())


@app.command()
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


@app.command()
def compare(
    baseline: Annotated[
        str, typer.Argument(help="Run folder, or latest-pass: the newest passing one.")
    ],
    canary: Annotated[Path, typer.Argument(help="Run folder of the canary.")],
    baselines: BaselinesOption = None,
    json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Compare two stored runs of the same scenario, the second as the canary of the first.

    Example: tfy-last9 compare latest-pass runs/20261123-... --baselines s3://bucket/tfy-last9
    """
    folder, place = RunFolder(canary), baselines or os.environ.get(PLACE)
    with stored_run(baseline, place, folder) as stored:
        code = compare_runs(stored, folder, Console(), as_json=json)
    raise typer.Exit(code)


@app.command()
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


@app.command()
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
        for name in ("TFY_GATEWAY_URL", "LAST9_API_URL", "LAST9_OTLP_ENDPOINT", "SSL_CERT_FILE"):
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


def _parsed(parse: Callable[[object], float], text: str | None) -> float | None:
    try:
        return None if text is None else parse(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def main() -> NoReturn:
    """Run the command line; every way out is a documented exit code."""
    signal.signal(signal.SIGTERM, _as_interrupt)
    console = Console()
    try:
        app()
    except SystemExit as ended:
        code = FRAMEWORK_CODES.get(ended.code, ended.code)
    except TfyError as error:
        console.error(error)
        code = error.exit_code
    except OSError as error:
        console.error(TfyError(f"{type(error).__name__}: {error}"))
        code = ExitCode.ERROR
    except Exception as error:  # noqa: BLE001 - a fault of ours must end with a documented code too
        console.error(_internal(error))
        code = ExitCode.ERROR
    sys.exit(code if isinstance(code, str | None) else int(code))


def _internal(error: Exception) -> TfyError:
    """Return what a bug report needs; nothing was decided, whatever was printed before."""
    frames = "".join(traceback.format_tb(error.__traceback__)[-INNERMOST:])
    return TfyError(
        f"internal fault, nothing was decided: {type(error).__name__}: {error}\n{frames}",
        hint="this is a bug of tfy-last9: report it with the lines above",
    )


def _as_interrupt(_: int, __: FrameType | None) -> NoReturn:
    """Treat SIGTERM (a cancelled CI job) like Ctrl-C: end in good order, keep what was recorded."""
    raise KeyboardInterrupt

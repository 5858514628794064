"""Commands that look at stored runs and live traces, and send no load."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from tfy_last9.adapters.compared import PLACE
from tfy_last9.adapters.environment import read_environment
from tfy_last9.adapters.files.openslo import load_objectives
from tfy_last9.adapters.last9.settings import from_environment
from tfy_last9.adapters.otlp.settings import otlp_settings
from tfy_last9.adapters.runfolder.folder import RunFolder
from tfy_last9.cli import judging
from tfy_last9.cli.baseline import stored_run
from tfy_last9.cli.comparing import compare_runs
from tfy_last9.cli.console import Console
from tfy_last9.cli.exporting import export_after
from tfy_last9.cli.live import LiveRequest, fetch_live
from tfy_last9.cli.options import (
    BaselinesOption,
    GitHubOption,
    OutOption,
    QuietOption,
    RunArgument,
)
from tfy_last9.cli.publishing import github_wanted, tell_github
from tfy_last9.cli.recollect import collect_again
from tfy_last9.cli.traces import TracesRequest, show_traces
from tfy_last9.errors import ConfigurationError


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


def collect(run: RunArgument, quiet: QuietOption = False) -> None:
    """Fetch the evidence of a stored run again, from any machine; decide again and say what changed.

    Example: tfy-last9 collect runs/20261123-...
    """
    settings = from_environment(read_environment())
    raise typer.Exit(collect_again(RunFolder(run), settings, Console(quiet=quiet)))


def report(run: RunArgument, github: GitHubOption = None) -> None:
    """Write all reports of a judged run again, from its verdict.json; change no verdict.

    Example: tfy-last9 report runs/20261123-...
    """
    folder = RunFolder(run)
    verdict = judging.render_again(folder)
    tell_github(github_wanted(github, Path("slo")), folder, verdict, json=False)
    Console().say(f"reports written: {folder.path}")


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

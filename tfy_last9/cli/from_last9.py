"""`scenario from-last9`: production's own traffic as a scenario, at a chosen scale and price."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from tfy_last9.adapters.clock import SystemClock
from tfy_last9.adapters.environment import read_environment
from tfy_last9.adapters.files.scenario import load_scenario
from tfy_last9.adapters.files.scenario_parts import parse_duration
from tfy_last9.adapters.files.scenario_writing import price, scenario_text, write_scenario
from tfy_last9.adapters.last9.client import Last9Client
from tfy_last9.adapters.last9.settings import from_environment
from tfy_last9.adapters.last9.traffic import TrafficReader
from tfy_last9.arrivals.replayed import Replay, replayed
from tfy_last9.cli.console import Console
from tfy_last9.cli.live import LiveRequest, live_window
from tfy_last9.errors import ConfigurationError, MissingSettings, TfyError
from tfy_last9.model.run import Window
from tfy_last9.model.traffic import Traffic

LONGEST_DEFAULT_S = 600.0
FIRST_S, FIRST_USD = 300.0, 1.0
"""Length and greatest expected cost of the scenario that `init` writes."""
app = typer.Typer(
    help="Make scenarios. Example: tfy-last9 scenario from-last9 --last 24h --scale 0.1",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@dataclass(frozen=True, slots=True)
class Wish:
    """How large and how dear the replay may be."""

    scale: float | None
    duration_s: float | None
    budget_usd: float | None


@app.callback()
def scenario() -> None:
    """Make scenarios from what production does.

    Example: tfy-last9 scenario from-last9 --last 24h --scale 0.1
    """


@app.command("from-last9")
def from_last9(
    last: Annotated[str | None, typer.Option(help="Traffic of so long, as 24h or 90m.")] = None,
    start: Annotated[
        str | None, typer.Option("--from", help="Traffic from 2026-11-23T14:00:00Z.")
    ] = None,
    end: Annotated[
        str | None, typer.Option("--to", help="Up to here; default: a minute ago.")
    ] = None,
    scale: Annotated[
        float | None,
        typer.Option(help="Share of production's rate; default: 1, or what the budget buys."),
    ] = None,
    duration: Annotated[
        str | None,
        typer.Option(
            help="Squeeze the curve into so long, as 10m; default: as it was, at most 10m."
        ),
    ] = None,
    budget_usd: Annotated[
        float | None, typer.Option(help="Expected cost must not be above it.")
    ] = None,
    out: Annotated[Path, typer.Option("--out", help="Scenario file to write.")] = Path(
        "scenarios/production.yaml"
    ),
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file.")] = False,
    seed: Annotated[int, typer.Option(min=0, help="Seed of schedule and prompts.")] = 1,
) -> None:
    """Read production's traffic from Last9 and write a scenario that sends the like of it.

    Read are counts and quantiles alone: arrival rate over time, mix of providers and models, share of
    streams, lengths of prompts and answers, cost. No prompt is fetched.

    Example: tfy-last9 scenario from-last9 --last 24h --duration 10m --budget-usd 5
    """
    if out.exists() and not force:
        raise ConfigurationError(f"{out} exists", hint="give another --out, or --force")
    console = Console()
    window = live_window(
        LiveRequest(last or _default(start), start, end, Path(), Path()), time.time_ns()
    )
    wish = Wish(
        _positive("--scale", scale), _seconds(duration), _positive("--budget-usd", budget_usd)
    )
    traffic = read_traffic(window)
    replay = fitting(traffic, wish)
    text = scenario_text(replay, traffic, name=out.stem, seed=seed)
    write_scenario(out, text)
    written = load_scenario(out)  # whatever comes out must be valid
    console.result(told(traffic, replay))
    console.say(f"wrote {out}: {len(written.targets)} targets, {len(written.prompts)} prompts")
    console.say(f"next: tfy-last9 plan {out}")


def first_scenario(path: Path, console: Console) -> bool:
    """Write a small scenario from the last day's traffic, if Last9 is configured, and tell; raise nothing.

    For `init`: whoever has no token yet, or no traffic, still gets the samples.
    """
    try:
        if from_environment(read_environment()) is None or path.exists():
            return False
        traffic = read_traffic(
            live_window(LiveRequest("24h", None, None, Path(), Path()), time.time_ns())
        )
        priced = all(one.priced for one in traffic.calls)
        replay = fitting(traffic, Wish(None, FIRST_S, FIRST_USD if priced else None))
        write_scenario(path, scenario_text(replay, traffic, name=path.stem, seed=1))
        load_scenario(path)
    except TfyError as error:
        console.say(f"Last9 was asked which models are in use, and did not say: {error.message}")
        return False
    console.say(f"wrote   {path}, from what Last9 shows of the last 24 hours:")
    console.say(told(traffic, replay))
    return True


def read_traffic(window: Window) -> Traffic:
    """Read the traffic of a window. Raises `MissingSettings` without a token."""
    settings = from_environment(read_environment())
    if settings is None:
        raise MissingSettings(
            "LAST9_REFRESH_TOKEN is not set, and production's traffic is in Last9",
            hint="set it (environment or .env) to a token with read scope",
        )
    with Last9Client(settings, SystemClock()) as client:
        return TrafficReader(client, settings.service, settings.page_limit).read(window)


def fitting(traffic: Traffic, wish: Wish) -> Replay:
    """Return the replay of the wished size. Raises `ConfigurationError` for one beyond its budget."""
    window_s = (traffic.window.end_ns - traffic.window.start_ns) / 1e9
    duration_s = wish.duration_s or min(window_s, LONGEST_DEFAULT_S)
    replay = replayed(traffic, scale=wish.scale or 1.0, duration_s=duration_s)
    if not replay.aims:
        raise ConfigurationError(
            "none of these requests reached a model, so that there is nothing to send again",
            hint="look at them: tfy-last9 check --last 1h",
        )
    budget = wish.budget_usd
    if budget is None:
        return replay
    if replay.unpriced > 0:
        raise ConfigurationError(
            f"{100 * replay.unpriced:.3g} % of the requests carry no price, so no budget can be kept",
            hint="leave out --budget-usd and choose --scale by hand",
        )
    if replay.usd <= budget:
        return replay
    largest = _below(replay.scale * budget / replay.usd)
    if wish.scale is not None:
        raise ConfigurationError(
            f"expected cost {replay.usd:.3g} USD is above --budget-usd {budget:g}",
            hint=f"--scale {largest:g} fits",
        )
    return replayed(traffic, scale=largest, duration_s=duration_s)


def told(traffic: Traffic, replay: Replay) -> str:
    """Return what was seen and what will be sent, for people."""
    window_s = (traffic.window.end_ns - traffic.window.start_ns) / 1e9
    seen = f"seen: {traffic.requests:,} requests in {window_s:,.0f} s, {traffic.requests / window_s:.3g}/s"
    lines = [f"{seen}; token lengths {traffic.how}"]
    shares: dict[tuple[str, str, bool], float] = {}
    for aim in replay.aims:
        key = aim.model, " ".join(aim.providers), aim.stream
        shares[key] = shares.get(key, 0.0) + aim.share
    for (model, providers, stream), share in sorted(shares.items(), key=lambda item: -item[1]):
        kind = "streamed" if stream else "whole"
        lines.append(f"  {100 * share:5.1f} %  {model} ({providers}), {kind}")
    inputs = traffic.input.values
    if inputs:
        lines.append(
            f"  prompts: {inputs[0]} to {inputs[-1]} tokens, median {inputs[len(inputs) // 2]}"
        )
    low, high = min(replay.rates_per_s), max(replay.rates_per_s)
    sent = f"about {replay.requests:,.0f} requests in {replay.duration_s:g} s, {low:.3g}/s to {high:.3g}/s"
    lines += [f"to be sent: {sent}, scale {replay.scale:.3g}", f"price: {price(replay)}"]
    lines += replay.notes
    return "\n".join(lines)


def _below(scale: float) -> float:
    """Return a scale of three digits that is not larger."""
    unit = 10.0 ** (math.floor(math.log10(scale)) - 2)
    return math.floor(scale / unit) * unit


def _default(start: str | None) -> str | None:
    return "24h" if start is None else None


def _positive(flag: str, value: float | None) -> float | None:
    if value is not None and not (math.isfinite(value) and value > 0):
        raise ConfigurationError(f"{flag} should be a number above 0: {value:g}")
    return value


def _seconds(text: str | None) -> float | None:
    try:
        return None if text is None else parse_duration(text)
    except ValueError as error:
        raise ConfigurationError(f"--duration {text}: {error}") from error

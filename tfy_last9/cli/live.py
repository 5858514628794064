"""`check --last 1h`: judge what production sent, from its traces alone."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from tfy_last9.adapters.clock import SystemClock
from tfy_last9.adapters.environment import read_environment
from tfy_last9.adapters.files.openslo import load_objectives
from tfy_last9.adapters.files.scenario_parts import parse_duration
from tfy_last9.adapters.last9.client import Last9Client
from tfy_last9.adapters.last9.counting import NONE, Counting
from tfy_last9.adapters.last9.links import link_base
from tfy_last9.adapters.last9.settings import Last9Settings, from_environment
from tfy_last9.adapters.last9.source import Last9Source
from tfy_last9.adapters.live import open_live, record_live
from tfy_last9.adapters.runfolder.asked import attribute_names
from tfy_last9.adapters.runfolder.evidence import EvidenceStore
from tfy_last9.adapters.runfolder.folder import RunFolder
from tfy_last9.adapters.runfolder.reduce import required_roles
from tfy_last9.cli.console import Console
from tfy_last9.errors import ConfigurationError, MissingSettings, NothingArrived, TfyError
from tfy_last9.judge.live import asks_last_week, told
from tfy_last9.model.objective import Book, Condition, Objective, Population, Ratio
from tfy_last9.model.run import Calls, EvidenceRecord, LastWeek, Window
from tfy_last9.model.trace import Role
from tfy_last9.ports import Page

SETTLED_S = 60.0
"""The last minute is left out: its traces may still be on their way."""
TAIL_S = 120.0
"""Spans of a request start up to this much after its root."""
_NS_PER_S = 1_000_000_000
WEEK_NS = 7 * 86_400 * _NS_PER_S
CALLS_BY_PROVIDER = Objective(
    name="calls",
    display_name="calls",
    service="",
    indicator=Ratio(Population(Book.LAST9, Role.MODEL), (Condition("status", ("error",)),)),
    target=0.5,
    group_by=("provider",),
    critical=False,
    confidence=0.95,
    path="",
    line=0,
)
"""What is counted of last week: a plain objective, so that Last9 counts it as it counts all others."""


@dataclass(frozen=True, slots=True)
class LiveRequest:
    """Which stretch of production to judge, and by what."""

    last: str | None
    start: str | None
    end: str | None
    slo: Path
    out: Path


def fetch_live(request: LiveRequest, console: Console) -> RunFolder:
    """Fetch the window's traces into a run folder of their own; the caller judges it."""
    settings = from_environment(read_environment())
    if settings is None:
        raise MissingSettings(
            "LAST9_REFRESH_TOKEN is not set, and live traces are in Last9",
            hint="set it (environment or .env) to a token with read scope",
        )
    now_ns = time.time_ns()
    window = live_window(request, now_ns)
    objectives = load_objectives(request.slo)
    with Last9Client(settings, SystemClock()) as client:
        source = Last9Source(client, settings, SystemClock(), attribute_names(objectives))
        tail_ns = round(TAIL_S * _NS_PER_S)
        page = source.spans(Window(window.start_ns, min(now_ns, window.end_ns + tail_ns)))
        if not page.spans:
            raise NothingArrived(
                f"Last9 shows no span of {settings.service} between {_shown(window)}",
                hint="check the window, LAST9_REGION, and that the gateway exports: tfy-last9 doctor",
            )
        folder = open_live(request.slo, request.out, window, now_ns)
        manifest = record_live(folder, page.spans, window)
        _save(folder, objectives, page)
        note = _ask_last_week(client, settings, folder, objectives, window)
        folder.write_evidence(_placed(client, _record(client, page, window, note)))
    seen = manifest.counters.offered if manifest.counters else 0
    console.say(f"live: {seen:,} requests between {_shown(window)}")
    return folder


def live_window(request: LiveRequest, now_ns: int) -> Window:
    """Return the window that `--last`, or `--from` and `--to`, ask for."""
    settled_ns = now_ns - round(SETTLED_S * _NS_PER_S)
    if request.last is not None:
        if request.start is not None or request.end is not None:
            raise ConfigurationError("--last and --from/--to exclude each other")
        try:
            seconds = parse_duration(request.last)
        except ValueError as error:
            raise ConfigurationError(f"--last {request.last}: {error}") from error
        return Window(settled_ns - round(seconds * _NS_PER_S), settled_ns)
    if request.start is None:
        raise ConfigurationError("--to needs --from", hint="or use --last 1h")
    start_ns = _instant_ns("--from", request.start)
    end_ns = settled_ns if request.end is None else _instant_ns("--to", request.end)
    if start_ns >= end_ns:
        raise ConfigurationError(
            f"--from {request.start} is not before --to {request.end or 'one minute ago'}"
        )
    return Window(start_ns, end_ns)


def _instant_ns(flag: str, text: str) -> int:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigurationError(
            f"{flag} {text}: expected an instant such as 2026-11-23T14:05:00Z"
        ) from None
    if instant.tzinfo is None:
        instant = instant.replace(tzinfo=UTC)
    return round(instant.timestamp() * _NS_PER_S)


def _save(folder: RunFolder, objectives: tuple[Objective, ...], page: Page) -> None:
    with EvidenceStore(folder, required_roles(objectives)) as book:
        book.add(page)
        book.save()


def _ask_last_week(
    client: Last9Client,
    settings: Last9Settings,
    folder: RunFolder,
    objectives: tuple[Objective, ...],
    window: Window,
) -> tuple[str, ...]:
    """Write down who answered a week ago, where objectives need to know; return what that tells."""
    if not any(map(asks_last_week, objectives)):
        return ()
    ago = Window(window.start_ns - WEEK_NS, window.end_ns - WEEK_NS)
    counting = Counting(client, settings.service, settings.page_limit)
    try:
        counted = counting.objectives((CALLS_BY_PROVIDER,), ago)
    except TfyError as error:
        return (f"who answered in the same window a week ago is unknown: {error.message}",)
    named = ((one.group[0], one.total) for one in counted if one.group[0] != NONE)
    calls = tuple(Calls(name, total) for name, total in named if total)
    last_week = LastWeek(ago, calls)
    folder.write_manifest(replace(folder.read_manifest(), last_week=last_week))
    return (told(last_week),)


def _record(
    client: Last9Client, page: Page, window: Window, notes: tuple[str, ...]
) -> EvidenceRecord:
    return EvidenceRecord(
        strategy="rows",
        window=window,
        region=None,
        organisation=None,
        cluster=None,
        link_base=None,
        queries=client.counters.queries,
        rows_fetched=client.counters.rows,
        bytes_fetched=client.counters.bytes,
        truncated=page.truncated,
        late_after_s=0.0,
        deadline_s=0.0,
        settled=True,
        problems=page.problems,
        warnings=(
            "live traces alone: requests that left no trace are not in these numbers",
            *notes,
        ),
    )


def _placed(client: Last9Client, record: EvidenceRecord) -> EvidenceRecord:
    place = client.place()
    return replace(
        record,
        region=place.region,
        cluster=place.cluster,
        organisation=client.organisation,
        link_base=link_base(client.api_url, client.organisation),
    )


def _shown(window: Window) -> str:
    ends = (window.start_ns, window.end_ns)
    texts = [datetime.fromtimestamp(end / _NS_PER_S, tz=UTC).strftime("%F %T") for end in ends]
    return f"{texts[0]} and {texts[1]} UTC"

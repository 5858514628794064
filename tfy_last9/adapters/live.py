"""Live traces as a run folder: what production sent in a window, judged without load and without a ledger.

Each root span stands in for the request that nobody here recorded, so that everything that judges stored
runs works unchanged, and `check RUN` decides again offline.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from secrets import token_hex

import orjson

from tfy_last9.adapters.files.digests import slo_digest
from tfy_last9.adapters.files.openslo import slo_files
from tfy_last9.adapters.runfolder.folder import RunFolder
from tfy_last9.adapters.runfolder.seal import seal
from tfy_last9.model.request import JoinPath, Outcome
from tfy_last9.model.run import Manifest, Window
from tfy_last9.model.scenario import (
    Api,
    ArrivalKind,
    Driver,
    Limits,
    Message,
    OnInconclusive,
    Phase,
    Policy,
    Prompt,
    Scenario,
    Settle,
    Target,
)
from tfy_last9.model.trace import Role, Span, SpanStatus

PHASE = "live"
_NS_PER_S = 1_000_000_000


def open_live(slo: Path, out: Path, window: Window, now_ns: int) -> RunFolder:
    """Make the folder of a look at production; the window is what is judged."""
    stamp = datetime.fromtimestamp(now_ns / _NS_PER_S, tz=UTC).strftime("%Y%m%d-%H%M%S")
    seconds = (window.end_ns - window.start_ns) / _NS_PER_S
    manifest = Manifest(
        run_id=f"{stamp}-live-{token_hex(3)}",
        created_ns=now_ns,
        scenario=_scenario(seconds),
        versions={"tfy-last9": version("tfy-last9")},
        digests={"slo": slo_digest(slo)},
        gateway_url="",
        sandbox=False,
        client_only=False,
        faults=(),
        expected_workers=1,
        start_ns=window.start_ns,
        live=True,
    )
    root = slo if slo.is_dir() else slo.parent
    return RunFolder.create(out, manifest, root, slo_files(slo))


def record_live(folder: RunFolder, spans: Iterable[Span], window: Window) -> Manifest:
    """Seal a ledger made of the root spans that started in the window; return the manifest."""
    manifest = folder.read_manifest()
    rows = 0
    with (folder.work_path / "rows-0.ndjson").open("wb") as lines:
        for row in _rows(manifest.run_id, spans, window):
            lines.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))
            rows += 1
    worker = {"worker": 0, "epoch_ns": window.start_ns, "rows": rows, "drained": True}
    report = {
        "workers": [worker],
        "expected_workers": 1,
        "offered": rows,
        "start_ns": window.start_ns,
        "ended": "schedule",
    }
    (folder.work_path / "swarm.json").write_bytes(orjson.dumps(report))
    return seal(folder)


def _rows(run_id: str, spans: Iterable[Span], window: Window) -> Iterator[dict[str, object]]:
    roots: dict[str, Span] = {}
    served: dict[str, Span] = {}
    for span in sorted(spans, key=lambda span: (span.start_ns, span.span_id)):
        if span.role is Role.ROOT and window.start_ns <= span.start_ns < window.end_ns:
            roots.setdefault(span.trace_id, span)
        if span.role is Role.MODEL:
            served[span.trace_id] = span
    ordered = sorted(roots.values(), key=lambda root: (root.start_ns, root.trace_id))
    for seq, root in enumerate(ordered):
        model = served.get(root.trace_id)
        failed = root.status is SpanStatus.ERROR
        due_ns = root.start_ns - window.start_ns
        yield {
            "run_id": run_id,
            "request_id": root.request_id or root.trace_id,
            "worker": 0,
            "seq": seq,
            "phase": PHASE,
            "target": PHASE,
            "provider": model.provider if model else None,
            "model": root.route or (model.model if model else None) or "unknown",
            "api": Api.CHAT.value,
            "stream": True,
            "attempt": 1,
            "due_ns": due_ns,
            "started_ns": due_ns,
            "written": True,
            "finished_ns": due_ns + max(0, root.duration_ns),
            "epoch_ns": window.start_ns,
            "outcome": (Outcome.HTTP_ERROR if failed else Outcome.OK).value,
            "client_trace_id": root.trace_id,
            "trace_id": root.trace_id,
            "root_span_id": root.span_id,
            "join_path": JoinPath.HEADER.value,
        }


def _scenario(seconds: float) -> Scenario:
    """Return a scenario that plans nothing: it only names what the reports print."""
    target = Target(PHASE, "live", None, (), Api.CHAT, True, 1, None, {}, {})
    return Scenario(
        name="production",
        description="live traces, no load",
        driver=Driver.STREAM,
        seed=0,
        arrivals=ArrivalKind.CONSTANT,
        targets=(target,),
        phases=(Phase(PHASE, seconds, 0.0, judged=True),),
        prompts=(Prompt((Message("user", ""),)),),
        limits=Limits(1, 1.0, 1.0, 1.0, 1.0),
        metadata={},
        settle=Settle(0.0, 30.0, 1.0),
        policy=Policy(OnInconclusive.WARN),
    )

"""A run as a gate leaves it, made of rows instead of load: three providers, one slow, one failing."""

import shutil
from dataclasses import replace
from pathlib import Path

from runfolder_builders import (
    EPOCH_NS,
    MS,
    S,
    build_manifest,
    build_page,
    build_record,
    build_row,
    build_scenario,
    build_span,
    build_target,
    collect,
    new_folder,
    unsent,
    write_work,
)

from tfy_last9.adapters.runfolder.seal import seal
from tfy_last9.model.run import SettlePoint
from tfy_last9.model.trace import Role, SpanStatus

PROVIDERS = ("anthropic", "gemini", "openai")
SLO = Path(__file__).parents[4] / "tests" / "data" / "slo"
HOSTILE = "</script><img src=x onerror=alert(1)>\"'&=cmd|' /C calc'!A0"


def sample_run(parent, requests=300, providers=PROVIDERS, message="The service is overloaded"):
    """Return the folder of a run of `requests`, ten a second, sealed and collected but not judged."""
    targets = tuple(build_target(name) for name in providers)
    folder = new_folder(parent, build_manifest(scenario=build_scenario(targets=targets)))
    shutil.copytree(SLO, folder.slo_path, dirs_exist_ok=True)
    rows = [_row(seq, providers, message) for seq in range(requests)]
    write_work(folder, rows)
    _write_health(folder, requests // 10)
    seal(folder)
    spans = [span for row in rows for span in _trace(row, message)]
    collect(folder, build_page([], asked_s=1.0), build_page(spans, asked_s=requests / 10 + 8.0))
    end_ns = EPOCH_NS + requests // 10 * S
    history = tuple(
        SettlePoint(end_ns + at * S, requests, round(requests * share))
        for at, share in ((0, 0.8), (2, 0.95), (4, 0.99))
    )
    folder.write_evidence(build_record(history=history))
    return folder


def _row(seq, providers, message):
    provider = providers[seq % len(providers)]
    due_ns = seq * S // 10
    base = 2300 if provider == providers[0] else 240
    ttft_ms = base * (1 + (seq * 37 % 100) / 150)
    instants = {
        "due_ns": due_ns,
        "started_ns": due_ns + MS,
        "first_byte_ns": due_ns + round((ttft_ms - 5) * MS),
        "first_token_ns": due_ns + round(ttft_ms * MS),
        "first_answer_ns": due_ns + round(ttft_ms * MS),
        "last_token_ns": due_ns + round((ttft_ms + 250) * MS),
        "finished_ns": due_ns + round((ttft_ms + 260) * MS),
    }
    row = build_row(
        seq,
        **instants,
        phase="warm-up" if seq < 30 else "steady",
        target=provider,
        provider=provider,
        model=f"{provider}-main/model",
        written=True,
    )
    if provider == providers[1] and seq % 4 == 0:
        failed = {"outcome": "provider_error", "status": 503, "error_type": "overloaded"}
        nothing = unsent() | {"trace_id": row["trace_id"], "root_span_id": row["root_span_id"]}
        nothing |= {"finished_ns": due_ns + 40 * MS}
        row |= nothing | failed | {"error_message": message}
    return row


def _trace(row, message):
    """Return the spans of a request: one trace in fifty is lost, one in thirty shows only its root."""
    seq = row["seq"]
    if seq % 50 == 49:
        return []
    failed = row["outcome"] != "ok"
    shared = {
        "start_ns": EPOCH_NS + row["started_ns"] + 5 * MS,
        "duration_ns": row["finished_ns"] - row["started_ns"] - 8 * MS,
        "status": SpanStatus.ERROR if failed else SpanStatus.OK,
        "status_message": message if failed else None,
    }
    roles = (Role.ROOT,) if seq % 30 == 29 else (Role.ROOT, Role.MODEL, Role.HTTP)
    spans = []
    for role in roles:
        span = replace(build_span(seq, role), **shared)
        if role is not Role.ROOT:
            span = replace(span, provider=row["provider"])
        spans.append(span)
    return spans


def _write_health(folder, seconds):
    lines = (
        f'{{"worker":0,"t_ns":{EPOCH_NS + at * S + S // 2},"hub_lag_p50_ns":{MS},'
        f'"hub_lag_max_ns":{(1 + at % 5) * MS},"cpu_percent":{20 + at % 7},"in_flight":{3 + at % 4},'
        f'"start_lag_max_ns":{2 * MS},"started":10,"missed":0,"finished":10}}\n'
        for at in range(seconds)
    )
    (folder.work_path / "health-0.ndjson").write_text("".join(lines))

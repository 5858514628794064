"""How long, and with how much memory, a big run folder is judged: 1,000,000 requests, 3,000,000 spans.

    python benchmarks/judging.py [--requests N]... [--slo FOLDER] [--keep DIR]

Makes a run folder per size (ledger and evidence straight to Parquet, three providers, 1 % failures, 2 % of one
provider slow), then judges it in a process of its own with the SLO files of `slo/`, and prints seconds,
peak memory and whether time grows in step with rows.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from tfy_last9.adapters.files.openslo import load_objectives, slo_files
from tfy_last9.adapters.files.scenario import load_scenario
from tfy_last9.adapters.runfolder.database import open_database, write_parquet
from tfy_last9.adapters.runfolder.folder import RunFolder
from tfy_last9.adapters.runfolder.seal import HEALTH_COLUMNS
from tfy_last9.cli.judging import decide
from tfy_last9.model.request import ledger_columns
from tfy_last9.model.run import Counters, EvidenceRecord, Manifest, Window, WorkerFacts
from tfy_last9.model.trace import EVIDENCE_COLUMNS

ROOT = Path(__file__).parents[1]
EPOCH_NS = 1_790_000_000_000_000_000
RATE_PER_S = 500

PLAN = """
CREATE VIEW plan AS
SELECT seq, ['openai', 'anthropic', 'gemini'][seq % 3 + 1] AS provider,
       ['openai-main/gpt-4o-mini', 'anthropic-main/claude-sonnet-4-6',
        'gemini-main/gemini-2.5-flash'][seq % 3 + 1] AS model,
       seq * 1000000000 // {rate} AS due_ns, hash(seq) % 100 = 0 AS failed,
       200000000 + hash(seq * 7) % 400000000 AS ttft_ns,
       500000000 + hash(seq * 13) % 900000000
           + CASE WHEN seq % 3 = 0 AND hash(seq * 3) % 50 = 0 THEN 5000000000 ELSE 0 END AS total_ns,
       lpad(to_hex(seq + 1), 32, '0') AS trace_id, lpad(to_hex(seq * 4), 16, '0') AS root_id,
       lpad(to_hex(seq * 4 + 1), 16, '0') AS model_id, lpad(to_hex(seq * 4 + 2), 16, '0') AS http_id
FROM range({requests}) t(seq)
"""

LEDGER = {
    "run_id": "'big'",
    "request_id": "'big.' || seq",
    "worker": "0",
    "seq": "seq",
    "phase": "'steady'",
    "target": "provider",
    "provider": "provider",
    "model": "model",
    "api": "'chat'",
    "stream": "true",
    "attempt": "1",
    "due_ns": "due_ns",
    "started_ns": "due_ns + 1000000",
    "written": "true",
    "first_byte_ns": "due_ns + ttft_ns - 1000000",
    "first_token_ns": "CASE WHEN NOT failed THEN due_ns + ttft_ns END",
    "first_answer_ns": "CASE WHEN NOT failed THEN due_ns + ttft_ns END",
    "last_token_ns": "CASE WHEN NOT failed THEN due_ns + total_ns END",
    "finished_ns": "due_ns + total_ns",
    "epoch_ns": str(EPOCH_NS),
    "clock": "'kernel'",
    "status": "CASE WHEN failed THEN 503 ELSE 200 END",
    "outcome": "CASE WHEN failed THEN 'provider_error' ELSE 'ok' END",
    "input_tokens": "20",
    "output_tokens": "20",
    "chunks": "20",
    "max_gap_ns": "40000000",
    "client_trace_id": "lpad(to_hex(seq + 900000000), 32, '0')",
    "trace_id": "trace_id",
    "root_span_id": "root_id",
    "join_path": "'header'",
}
SPAN = {
    "trace_id": "trace_id",
    "service": "'tfy-llm-gateway'",
    "kind": "'internal'",
    "status": "CASE WHEN failed THEN 'error' ELSE 'ok' END",
    "unseen_ns": "NULL",
    "first_seen_ns": f"{EPOCH_NS} + due_ns + total_ns + 500000000",
    "resource": """'{"service.name": "tfy-llm-gateway", "team": "platform", "tenant_id": "a"}'""",
}
CALLED = {
    "provider": "provider",
    "account": "split_part(model, '/', 1)",
    "model": "model",
    "start_ns": f"{EPOCH_NS} + due_ns + 6000000",
    "duration_ns": "total_ns - 12000000",
}
METRICS = """'{"tfy.span_type": "Model", "tfy.model.streaming": true, "tfy.model.metric.input_tokens": 20,'
    || '"tfy.model.metric.output_tokens": 20, "tfy.model.metric.cost_in_usd": 0.0002,'
    || '"tfy.model.metric.time_to_first_token_in_ms": ' || ttft_ns / 1000000 || '}'"""
ROLES: tuple[dict[str, str], ...] = (
    SPAN
    | {
        "span_id": "root_id",
        "parent_span_id": "NULL",
        "name": "'ChatCompletion: ' || model",
        "start_ns": f"{EPOCH_NS} + due_ns + 4000000",
        "duration_ns": "total_ns - 8000000",
        "role": "'root'",
        "route": "model",
        "run_id": "'big'",
        "request_id": "'big.' || seq",
        "attributes": """'{"tfy.span_type": "ChatCompletion"}'""",
    },
    SPAN
    | CALLED
    | {
        "span_id": "model_id",
        "parent_span_id": "root_id",
        "name": "'Model: ' || model",
        "role": "'model'",
        "attributes": METRICS,
    },
    SPAN
    | CALLED
    | {
        "span_id": "http_id",
        "parent_span_id": "model_id",
        "name": "'POST https://' || provider",
        "role": "'http'",
        "attributes": """'{"http.request.method": "POST"}'""",
    },
)


def make(parent: Path, requests: int, slo: Path) -> RunFolder:
    """Write the run folder of `requests` requests and three times as many spans."""
    scenario = load_scenario(ROOT / "scenarios" / "smoke.yaml")
    seconds = requests / RATE_PER_S
    phase = replace(scenario.phases[-1], duration_s=seconds, rate_per_s=float(RATE_PER_S))
    manifest = Manifest(
        run_id="big",
        created_ns=EPOCH_NS,
        scenario=replace(scenario, phases=(phase,)),
        versions={},
        digests={},
        gateway_url="http://127.0.0.1:1",
        sandbox=True,
        client_only=False,
        faults=(),
        expected_workers=1,
        start_ns=EPOCH_NS,
        end_ns=EPOCH_NS + round(seconds * 1e9),
        ended="schedule",
        workers=(WorkerFacts(0, EPOCH_NS, requests, drained=True),),
        counters=Counters(requests, requests, 0, requests, 0),
    )
    folder = RunFolder.create(parent, manifest, slo, slo_files(slo))
    folder.work_path.rmdir()
    with open_database() as database:
        database.execute(PLAN.format(rate=RATE_PER_S, requests=requests))
        write_parquet(
            database, _select(LEDGER, ledger_columns(), "ORDER BY seq"), folder.ledger_path
        )
        spans = " UNION ALL ".join(_select(role, EVIDENCE_COLUMNS) for role in ROLES)
        ordered = f"SELECT * FROM ({spans}) ORDER BY trace_id, start_ns, span_id"  # noqa: S608 - constants
        write_parquet(database, ordered, folder.spans_path)
        columns = ", ".join(f"NULL::{kind} AS {name}" for name, kind in HEALTH_COLUMNS.items())
        write_parquet(database, f"SELECT {columns} LIMIT 0", folder.health_path)
    window = Window(EPOCH_NS, EPOCH_NS + round(seconds * 1e9))
    folder.write_evidence(
        EvidenceRecord(
            *("rows", window, None, None, None, None, 1, 3 * requests, 0, (), 30.0, 60.0),
            settled=True,
        )
    )
    return folder


def _select(values: dict[str, str], columns: dict[str, str], order: str = "") -> str:
    listed = ", ".join(
        f"CAST({values.get(name, 'NULL')} AS {kind}) AS {name}" for name, kind in columns.items()
    )
    return f"SELECT {listed} FROM plan {order}"  # noqa: S608 - constants


def judge(path: Path) -> None:
    """Judge one folder; print seconds, peak memory in MiB, and the verdict."""
    folder = RunFolder(path)
    objectives = load_objectives(folder.slo_path)
    started = time.perf_counter()
    verdict = decide(folder, objectives)
    seconds = time.perf_counter() - started
    used = resource.getrusage(resource.RUSAGE_SELF)
    cpu, peak_mib = used.ru_utime + used.ru_stime, used.ru_maxrss / 1024
    numbers = f"{seconds:.2f} {cpu:.2f} {peak_mib:.0f} {len(verdict.findings)}"
    print(f"{numbers} {verdict.state} {verdict.reason_code}")


def main() -> None:
    """Measure each size in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, action="append")
    parser.add_argument("--slo", type=Path, default=ROOT / "slo")
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--judge", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.judge:
        judge(arguments.judge)
        return
    print(
        "| requests | spans | findings | seconds | CPU seconds | CPU us per request | peak MiB | verdict |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for requests in arguments.requests or (100_000, 300_000, 1_000_000):
        with tempfile.TemporaryDirectory(prefix="tfy-last9-judging-") as place:
            folder = make((arguments.keep or Path(place)) / str(requests), requests, arguments.slo)
            told = subprocess.run(
                [sys.executable, __file__, "--judge", str(folder.path)],
                capture_output=True,
                text=True,
                check=True,
            )
        seconds, cpu, peak, findings, state, code = told.stdout.split()
        each = float(cpu) / requests * 1e6
        sizes = f"{requests:,} | {3 * requests:,} | {findings}"
        numbers = f"{sizes} | {seconds} | {cpu} | {each:.1f} | {peak}"
        print(f"| {numbers} | {state} ({code}) |", flush=True)


if __name__ == "__main__":
    main()

"""Time and memory of the rows strategy: fetch every span of a run, join, save, reduce.

`python benchmarks/last9_rows.py [TRACES]` (default 1,000,000 traces of three spans, one hour of traffic)
against a synthetic server in a process of its own. Peak memory is that of the client process alone.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from tfy_last9.adapters.clock import SystemClock
from tfy_last9.adapters.files.openslo import load_objectives
from tfy_last9.adapters.files.scenario import load_scenario
from tfy_last9.adapters.last9.client import Last9Client
from tfy_last9.adapters.last9.settings import Last9Settings
from tfy_last9.adapters.last9.source import Last9Source
from tfy_last9.adapters.runfolder.evidence import EvidenceStore
from tfy_last9.adapters.runfolder.folder import RunFolder
from tfy_last9.adapters.runfolder.reduce import Reduction, required_roles
from tfy_last9.model.request import ledger_columns
from tfy_last9.model.run import Counters, Manifest, Window, WorkerFacts

ROOT = Path(__file__).parents[1]
START_S = 1_795_417_200
SECONDS = 3600
NS = 10**9

LEDGER = """
COPY (
    SELECT {columns} FROM (
        SELECT 'benchmark' AS run_id, 'benchmark.' || i AS request_id, 0 AS worker, i AS seq,
               'steady' AS phase, 'openai' AS target, 'openai' AS provider, 'chat' AS api,
               'openai-main/gpt-4o-mini' AS model, true AS stream, 1 AS attempt, true AS written,
               'ok' AS outcome, 'kernel' AS clock, 200 AS status, {start_ns} AS epoch_ns,
               (i * {gap_ns})::BIGINT AS due_ns, due_ns AS started_ns,
               due_ns + 300000000 AS first_token_ns, due_ns + 900000000 AS finished_ns,
               printf('%032x', i + 1) AS trace_id, printf('%016x', i * 4 + 1) AS root_span_id
        FROM range({traces}) made(i)
    )
) TO '{path}' (FORMAT parquet, COMPRESSION zstd)
"""


@contextmanager
def server(traces: int) -> Iterator[dict[str, str]]:
    script = str(ROOT / "benchmarks" / "synthetic_last9.py")
    command = [sys.executable, script, str(traces), str(START_S), str(SECONDS)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())
        process.terminate()


def sealed_run(parent: Path, traces: int) -> RunFolder:
    manifest = Manifest(
        run_id="benchmark",
        created_ns=START_S * NS,
        scenario=load_scenario(ROOT / "scenarios" / "smoke.yaml"),
        versions={},
        digests={},
        gateway_url="http://127.0.0.1:1",
        sandbox=True,
        client_only=False,
        faults=(),
        expected_workers=1,
        start_ns=START_S * NS,
        end_ns=(START_S + SECONDS) * NS,
        ended="schedule",
        workers=(WorkerFacts(0, START_S * NS, traces, drained=True),),
        counters=Counters(traces, traces, 0, traces, 0),
    )
    folder = RunFolder.create(parent, manifest, ROOT / "slo", ())
    known = {"run_id", "request_id", "worker", "seq", "phase", "target", "provider", "api", "model"}
    known |= {"stream", "attempt", "written", "outcome", "clock", "status", "epoch_ns", "due_ns"}
    known |= {"started_ns", "first_token_ns", "finished_ns", "trace_id", "root_span_id"}
    columns = ", ".join(
        f"{name}::{kind} AS {name}" if name in known else f"NULL::{kind} AS {name}"
        for name, kind in ledger_columns().items()
    )
    duckdb.execute(
        LEDGER.format(
            columns=columns,
            start_ns=START_S * NS,
            gap_ns=SECONDS * NS / traces,
            traces=traces,
            path=folder.ledger_path,
        )
    )
    return folder


class Steps:
    """Prints what each step took."""

    def __init__(self) -> None:
        self._at = time.perf_counter()

    def done(self, what: str) -> None:
        """Print what was done since the last time."""
        now = time.perf_counter()
        peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"{what:<44} {now - self._at:8.1f} s   peak {peak_mb:6.0f} MB", flush=True)
        self._at = now


def main() -> None:
    traces = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    objectives = tuple(
        one for one in load_objectives(ROOT / "slo") if one.group_by in ((), ("provider",))
    )
    window = Window((START_S - 5) * NS, (START_S + SECONDS + 5) * NS)
    with tempfile.TemporaryDirectory(
        dir=ROOT / "runs" if (ROOT / "runs").is_dir() else None
    ) as place:
        folder = sealed_run(Path(place), traces)
        steps = Steps()
        with server(traces) as ready:
            settings = Last9Settings(
                refresh_token=ready["refresh_token"],
                api_url=f"http://127.0.0.1:{ready['port']}",
                org="acme",
                region="local",
            )
            clock = SystemClock()
            with (
                Last9Client(settings, clock) as client,
                EvidenceStore(folder, required_roles(objectives)) as book,
            ):
                source = Last9Source(client, settings, clock)
                ids = book.trace_ids()
                steps.done(f"ledger of {traces:,} requests read")
                for page in source.run("benchmark", window, ids):
                    assert not page.truncated
                    assert not page.problems
                    book.add(page)
                counters = client.counters
                steps.done(f"{book.spans():,} spans fetched and taken in")
                print(
                    f"  {counters.queries:,} queries, {counters.rows:,} rows,"
                    f" {counters.bytes / 1e6:,.0f} MB; reach {source.reach}; {source.contents}"
                )
                left = book.outstanding()
                assert left.complete == left.expected == traces, left
                steps.done("joined with the ledger")
                book.save()
                steps.done("spans.parquet and requests.parquet written")
        with Reduction(folder, objectives) as reduction:
            found = reduction.tallies()
            accounting = reduction.accounting()
        assert accounting.complete == traces
        steps.done(f"reduced for {len(found)} objectives")
        print(f"  spans.parquet: {folder.spans_path.stat().st_size / 1e6:,.0f} MB")


if __name__ == "__main__":
    main()

"""A long run end to end: rows offered, sent, relayed, stored; memory of every process meanwhile.

    python benchmarks/million.py [--rows 1000000] [--seconds 600] [--workers 2]

Locust master and workers as `gate --processes` starts them, the server of `streams_per_cpu_second.py`, the
ledger sealed at the end. Memory is the resident set of each process, read every ten seconds; its growth is the slope of a
straight line through the readings after the first two minutes, in which pools and caches fill.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import duckdb
import psutil
from streams_per_cpu_second import LOCUST, ROOT, start_server

from tfy_last9.adapters.files.scenario import load_scenario
from tfy_last9.adapters.opening import RunRequest, open_run
from tfy_last9.adapters.runfolder.seal import seal
from tfy_last9.cli.crew import Crew

SCENARIO = """
name: million
targets: [{{name: one, model: acc/m, provider: openai}}]
arrivals: {{kind: constant, rate: {rate}/s}}
phases: [{{name: steady, duration: {seconds}s}}]
prompts: [Hello]
limits: {{users: 2000}}
"""
EVERY_S = 10.0
SETTLED_S = 120.0
MB = 1 << 20


def watch(process: subprocess.Popen[bytes]) -> dict[str, list[float]]:
    """Return the resident memory over time of the load process and its children, MB."""
    found: dict[str, list[float]] = defaultdict(list)
    while process.poll() is None:
        for one in (psutil.Process(process.pid), *psutil.Process(process.pid).children()):
            try:
                name = "master" if one.pid == process.pid else f"worker {one.pid}"
                found[name].append(one.memory_info().rss / MB)
            except psutil.NoSuchProcess:
                continue
        pause(process)
    return found


def pause(process: subprocess.Popen[bytes]) -> None:
    """Wait for the next reading, or for the end."""
    try:
        process.wait(EVERY_S)
    except subprocess.TimeoutExpired:
        return


def growth(values: list[float]) -> float | None:
    """Return how much a process grew once it had settled, MB per minute; None for a run too short to tell."""
    settled = values[round(SETTLED_S / EVERY_S) :]
    if len(settled) < 60 / EVERY_S:
        return None
    slope = statistics.linear_regression(range(len(settled)), settled).slope
    return slope * 60 / EVERY_S


def main() -> None:
    """Run, and print what was offered, what was stored and who used how much memory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        server, url = start_server(folder)
        path = folder / "million.yaml"
        rate = -(-options.rows // options.seconds)
        path.write_text(SCENARIO.format(rate=rate, seconds=options.seconds))
        slo = ROOT / "slo" / "client.yaml"
        wanted = RunRequest(load_scenario(path), slo, folder / "runs", url, options.workers)
        run, _ = open_run(wanted, time.time_ns())
        file = ROOT / "tfy_last9" / "swarm" / "locustfile.py"
        crew = Crew(processes=options.workers).arguments()
        users = ("-u", "2000", "-r", str(100 * options.workers))
        settings = {"TFY_RUN_DIR": str(run.path), "TFY_GATEWAY_URL": url, "TFY_API_KEY": "key"}
        try:
            with (folder / "log").open("wb") as log:
                process = subprocess.Popen(
                    (*LOCUST, "-f", str(file), *crew, *users),
                    env={**os.environ, **settings},
                    stdout=log,
                    stderr=subprocess.STDOUT,
                )
                memory = watch(process)
        finally:
            server.terminate()
            server.wait()
        before_s = time.monotonic()
        manifest = seal(run)
        took_s = time.monotonic() - before_s
        with duckdb.connect() as database:
            rows, different, ok, missed, lag = (
                database.execute(
                    f"""SELECT count(*), count(DISTINCT seq), count(*) FILTER (outcome = 'ok'),
                           count(*) FILTER (outcome = 'missed'),
                           quantile_cont(started_ns - due_ns, 0.99) / 1e6
                    FROM '{run.ledger_path}'"""  # noqa: S608 - our own path
                ).fetchone()
                or (0,) * 5
            )
        print(f"{platform.platform()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
        counters = manifest.counters
        assert counters is not None
        print(
            f"offered {counters.offered:,}, rows {rows:,} ({different:,} different), answered {ok:,}, "
            f"missed {missed:,}, unreported {counters.unreported:,}; start lag p99 {lag:.1f} ms; "
            f"sealed in {took_s:.1f} s; problems: {manifest.problems or 'none'}"
        )
        print("\nresident memory, MB, mean of each minute:")
        minute = round(60 / EVERY_S)
        for who, values in memory.items():
            means = (
                statistics.mean(values[start : start + minute])
                for start in range(0, len(values), minute)
            )
            slope = growth(values)
            grew = "" if slope is None else f"; {slope:+.3f} MB a minute after two"
            print(f"{who}: " + " ".join(f"{mean:.1f}" for mean in means) + grew)
        if sys.stderr is not None and manifest.problems:
            print((folder / "log").read_text()[-2000:], file=sys.stderr)


if __name__ == "__main__":
    main()

"""How late requests start: three ways to wait for an instant, side by side, and the product at 500 arrivals/s.

    python benchmarks/start_lag.py [--rate 500] [--seconds 10]

The first table paces Poisson arrivals in one greenlet that does nothing else. The second is the product as
`gate` runs it, against the server of `streams_per_cpu_second.py`, with lags read from the ledger.
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import duckdb
from streams_per_cpu_second import LOCUST, ROOT, cpu_seconds, start_server

from tfy_last9.adapters.files.scenario import load_scenario
from tfy_last9.adapters.opening import RunRequest, open_run
from tfy_last9.adapters.runfolder.seal import seal

SCENARIO = """
name: lag
targets: [{{name: one, model: acc/m, provider: openai}}]
arrivals: {{kind: poisson, rate: {rate}/s}}
phases: [{{name: steady, duration: {seconds}s}}]
prompts: [Hello]
limits: {{users: 400}}
"""


def pace(name: str, rate: float, seconds: float) -> str:
    """Return a table row: lateness of one way to wait, and the share of a core it took."""
    import gevent  # noqa: PLC0415 - the others of these processes do without

    from tfy_last9.swarm.alarm import Alarm  # noqa: PLC0415 - as above

    alarm = Alarm()

    def sleep(at_ns: int) -> None:
        gevent.sleep(max(0.0, (at_ns - time.monotonic_ns()) / 1e9))

    def spin(at_ns: int) -> None:
        sleep(at_ns - 1_500_000)
        while time.monotonic_ns() < at_ns:
            gevent.sleep(0)

    ways: dict[str, Callable[[int], None]] = {
        "gevent.sleep": sleep,
        "sleep, then yield": spin,
        "kernel timer": alarm.wait_until,
    }
    wait, lags, gaps = ways[name], [], random.Random(1)
    start_ns, cpu_s = time.monotonic_ns(), time.process_time()
    due_ns = float(start_ns)
    while due_ns < start_ns + seconds * 1e9:
        due_ns += gaps.expovariate(rate) * 1e9
        wait(int(due_ns))
        lags.append(max(0.0, time.monotonic_ns() - due_ns))
    lags.sort()
    p50, p99, worst = (lags[int(len(lags) * p)] / 1e6 for p in (0.5, 0.99, 0.99999))
    share = (time.process_time() - cpu_s) / seconds
    return f"| {name} | {p50:.3f} | {p99:.3f} | {worst:.2f} | {share:.0%} |"


def product(rate: int, seconds: int, url: str, folder: Path) -> str:
    """Return a table row from the ledger of one run."""
    path = folder / "lag.yaml"
    path.write_text(SCENARIO.format(rate=rate, seconds=seconds))
    scenario = load_scenario(path)
    request = RunRequest(scenario, ROOT / "slo" / "client.yaml", folder / "runs", url, workers=1)
    run, _ = open_run(request, time.time_ns())
    locustfile = ROOT / "tfy_last9" / "swarm" / "locustfile.py"
    command = (*LOCUST, "-f", str(locustfile), "-u", "400", "-r", "400")
    settings = {"TFY_RUN_DIR": str(run.path), "TFY_GATEWAY_URL": url, "TFY_API_KEY": "key"}
    cpu_s = cpu_seconds(command, settings, folder / "product.log")
    seal(run)
    with duckdb.connect() as database:
        p50, p99, worst, started, missed = database.execute(
            f"""SELECT quantile_cont(started_ns - due_ns, 0.5) / 1e6,
                       quantile_cont(started_ns - due_ns, 0.99) / 1e6,
                       max(started_ns - due_ns) / 1e6,
                       count(started_ns), count(*) FILTER (outcome = 'missed')
                FROM '{run.ledger_path}'"""  # noqa: S608 - our own path
        ).fetchone() or (0, 0, 0, 0, 0)
    busy = cpu_s / seconds
    return f"| {rate}/s | {p50:.3f} | {p99:.3f} | {worst:.2f} | {started} | {missed} | {busy:.0%} |"


def main() -> None:
    """Measure, and print two tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=int, default=500)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--pace", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.pace:
        print(pace(options.pace, options.rate, options.seconds))
        return
    print(f"{platform.platform()}, load {os.getloadavg()[0]:.1f}")
    print("| wait | p50 ms late | p99 | max | of a core |\n|---|---|---|---|---|", flush=True)
    for name in ("gevent.sleep", "sleep, then yield", "kernel timer"):
        own = (__file__, "--pace", name, "--rate", str(options.rate))
        subprocess.run((sys.executable, *own, "--seconds", str(options.seconds)), check=True)
    print("\n| product | p50 ms late | p99 | max | started | missed | of a core |")
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        server, url = start_server(Path(name))
        try:
            print(product(options.rate, options.seconds, url, Path(name)))
        finally:
            server.terminate()
            server.wait()


if __name__ == "__main__":
    main()

"""Short streams per CPU-second: the product's whole path beside what people use, against one server in C.

    python benchmarks/streams_per_cpu_second.py [--rounds 3] [--rate 15000] [--clients product,fast-lines]

Every client runs twice, with few and with many requests, and the difference is what counts: start-up is in
neither number. CPU time is user and system time of the client's process tree, as the kernel reports it.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import duckdb

from tfy_last9.adapters.files.scenario import load_scenario
from tfy_last9.adapters.opening import RunRequest, open_run
from tfy_last9.adapters.runfolder.seal import seal

ROOT = Path(__file__).parents[1]
HERE = Path(__file__).parent / "streams"
SCENARIO = """
name: bench
targets: [{{name: one, model: acc/m, provider: openai}}]
arrivals: {{kind: constant, rate: {rate}/s}}
phases: [{{name: connect, duration: 2s, rate: {slow}/s}}, {{name: steady, duration: {seconds}s}}]
prompts: [Hello]
limits: {{users: 3000}}
"""
BUSY = 0.85
"""Share of its core that the product is to keep busy: peers send as fast as they can, so it has to be near that, too."""
FIRST_RATE = 16_000
TRIES = 5
SECONDS = (2, 8)
"""Length of the product's short and long run, besides two seconds at `SLOW` arrivals/s in which it connects."""
SLOW = 400


@dataclass(frozen=True)
class Client:
    """One way to read streams, and how many requests make a short and a long run of it."""

    name: str
    few: int
    many: int


class TooFast(Exception):
    """The product could not hold a rate."""


MOST_MISSED = 0.05
"""A machine that others use stalls now and then; missed arrivals cost nothing and are left out."""


PEERS = {
    client.name: client
    for client in (
        Client("driver-alone", 2_000, 42_000),
        Client("native", 50_000, 500_000),
        Client("bare-stamped", 20_000, 100_000),
        Client("bare", 20_000, 100_000),
        Client("fast-lines", 1_000, 7_000),
        Client("openai-sdk", 50, 350),
    )
}
LOCUST = (sys.executable, "-m", "locust", "--headless", "--only-summary", "--loglevel", "ERROR")


def cpu_seconds(command: tuple[str, ...], environment: Mapping[str, str], log: Path) -> float:
    """Run a client on its own core to its end, and return the CPU time it took."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            env={**os.environ, **environment},
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=log.parent,
        )
        os.sched_setaffinity(process.pid, {max(os.sched_getaffinity(0))})
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in (0, 1):
        raise SystemExit(f"{command} ended with {process.returncode}:\n{log.read_text()}")
    return usage.ru_utime + usage.ru_stime


def product(requests: int, seconds: int, url: str, folder: Path) -> float:
    """Run the product as `gate` does: scenario, schedule, ledger, events. Every row must be there."""
    path = folder / f"bench-{requests}.yaml"
    path.write_text(SCENARIO.format(rate=requests // seconds, slow=SLOW, seconds=seconds))
    requests += 2 * SLOW
    scenario = load_scenario(path)
    slo = ROOT / "slo" / "client.yaml"
    request = RunRequest(scenario, slo, folder / "runs", url, workers=1)
    run, _ = open_run(request, time.time_ns())
    locustfile = ROOT / "tfy_last9" / "swarm" / "locustfile.py"
    command = (*LOCUST, "-f", str(locustfile), "-u", "3000", "-r", "3000")
    settings = {"TFY_RUN_DIR": str(run.path), "TFY_GATEWAY_URL": url, "TFY_API_KEY": "key"}
    taken = cpu_seconds(command, settings, folder / "product.log")
    seal(run)
    with duckdb.connect() as database:
        query = f"SELECT outcome, clock, count(*) FROM '{run.ledger_path}' GROUP BY ALL"  # noqa: S608 - our own path
        counts = database.execute(query).fetchall()
    ok = sum(number for outcome, clock, number in counts if (outcome, clock) == ("ok", "kernel"))
    missed = sum(number for outcome, _, number in counts if outcome == "missed")
    if ok + missed != requests or missed > MOST_MISSED * requests:
        raise TooFast(f"the product did not read every stream: {counts}")
    return taken * requests / int(ok)


def peer(name: str, requests: int, url: str, folder: Path) -> float:
    """Run one of the peers."""
    scenario = folder / "bench.yaml"
    scenario.write_text(SCENARIO.format(rate=1, slow=1, seconds=1))
    settings = {
        "TFY_GATEWAY_URL": url,
        "BENCH_REQUESTS": str(requests),
        "BENCH_SCENARIO": str(scenario),
    }
    commands = {
        "native": (str(folder / "client"), url.rpartition(":")[2], str(requests)),
        "driver-alone": (sys.executable, str(HERE / "driver_alone.py")),
        "bare-stamped": (sys.executable, str(HERE / "bare_stamped.py")),
        "bare": (sys.executable, str(HERE / "bare.py")),
        "fast-lines": (*LOCUST, "-f", str(HERE / "peers.py"), "-u", "20", "-r", "20", "FastLines"),
        "openai-sdk": (*LOCUST, "-f", str(HERE / "peers.py"), "-u", "20", "-r", "20", "OpenAiSdk"),
    }
    return cpu_seconds(commands[name], settings, folder / f"{name}.log")


def measure_product(rate: int, url: str, folder: Path) -> tuple[float, float]:
    """Return requests per CPU-second of the product at a rate, and the share of its core that takes."""
    few, many = SECONDS
    short, long = (product(rate * seconds, seconds, url, folder) for seconds in SECONDS)
    return rate * (many - few) / (long - short), (long - short) / (many - few)


def measure_busy_product(url: str, folder: Path) -> float:
    """Return requests per CPU-second of the product at a rate that keeps its core busy, as far as one is found."""
    rate, best, most_busy = FIRST_RATE, 0.0, 0.0
    for _ in range(TRIES):
        try:
            found, busy = measure_product(rate, url, folder)
        except TooFast as error:
            print(f"at {rate:,} arrivals/s {error}", file=sys.stderr)
            rate = rate * 9 // 10
            continue
        print(f"at {rate:,} arrivals/s: {found:,.0f}, {busy:.0%} of its core", file=sys.stderr)
        if busy > most_busy:
            best, most_busy = found, busy
        if busy >= BUSY:
            break
        rate = int(found * 0.92)
    if not best:
        raise SystemExit("the product held no rate")
    return best


def measure_peer(client: Client, url: str, folder: Path) -> float:
    """Return requests per CPU-second of a peer, which sends as fast as it can."""
    short = peer(client.name, client.few, url, folder)
    return (client.many - client.few) / (peer(client.name, client.many, url, folder) - short)


def start_server(folder: Path) -> tuple[subprocess.Popen[str], str]:
    """Compile the server, and start it on the first core."""
    program, client = folder / "server", folder / "client"
    compiler = shutil.which("cc")
    if compiler is None:
        raise SystemExit("this benchmark compiles its server: a C compiler named cc is needed")
    for made, source in ((program, "server.c"), (client, "client.c")):
        subprocess.run((compiler, "-O2", "-o", str(made), str(HERE / source)), check=True)
    process = subprocess.Popen((str(program), "0"), stdout=subprocess.PIPE, text=True)
    os.sched_setaffinity(process.pid, {min(os.sched_getaffinity(0))})
    assert process.stdout is not None
    return process, f"http://127.0.0.1:{process.stdout.readline().strip()}"


def main() -> None:
    """Measure every client in turn, several rounds, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rate", type=int, help="arrivals per second of the product, if not found")
    names = ["product", *PEERS]
    parser.add_argument("--clients", type=lambda text: text.split(","), default=names)
    options = parser.parse_args()
    results: dict[str, list[float]] = {name: [] for name in options.clients}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        server, url = start_server(folder)
        try:
            for _ in range(options.rounds):
                for client, values in results.items():
                    if client != "product":
                        values.append(measure_peer(PEERS[client], url, folder))
                    elif options.rate:
                        values.append(measure_product(options.rate, url, folder)[0])
                    else:
                        values.append(measure_busy_product(url, folder))
                    print(f"{client}: {values[-1]:,.0f}", file=sys.stderr)
        finally:
            server.terminate()
            server.wait()
    base = statistics.median(results.get("product", [0.0]))
    print(
        f"{platform.platform()}, Python {platform.python_version()}, load {os.getloadavg()[0]:.1f}"
    )
    print("| client | streams per CPU-second, median | all rounds | product is |")
    print("|---|---|---|---|")
    for name, values in results.items():
        median = statistics.median(values)
        spread = ", ".join(f"{value:,.0f}" for value in values)
        print(f"| {name} | {median:,.0f} | {spread} | {base / median:.2f}x |")


if __name__ == "__main__":
    main()

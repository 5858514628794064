"""How truthful the client is: paced streams, its ledger against what the server says it sent.

    python benchmarks/paced_streams.py [--streams 2000] [--seconds 15] [--tls] [--saturate [LOOPS]] [--both-clocks]

The server in C (first core) sends the first token after 200 ms, then one every 20 ms, and notes each send instant.
The product (last core) runs whole: scenario, schedule, ledger, events. Rows and the server's notes are joined by
request id. `--saturate` runs busy loops beside the client on its core; `--both-clocks` has the same client note when it
saw each token itself, as where the kernel gives no times.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from tfy_last9.adapters.files.scenario import load_scenario
from tfy_last9.adapters.opening import RunRequest, open_run
from tfy_last9.adapters.runfolder.gaps import read_gaps
from tfy_last9.adapters.runfolder.seal import seal

ROOT = Path(__file__).parents[1]
HERE = Path(__file__).parent / "streams"
FIRST_MS, GAP_MS = 200, 20
SCENARIO = """
name: paced
targets: [{{name: one, model: acc/m, provider: openai}}]
arrivals: {{kind: constant, rate: {rate}/s}}
phases: [{{name: fill, duration: {fill}s, judged: false}}, {{name: steady, duration: {seconds}s}}]
prompts: [Hello]
limits: {{users: {users}}}
"""
BOOKS = """
WITH told AS (
    SELECT column0 AS request_id, column1 AS first, column2 AS last, column3 AS widest, column5 AS tokens
    FROM read_csv('{truth}', delim=' ', header=false)
)
SELECT epoch_ns + first_token_ns AS first_seen, epoch_ns + last_token_ns AS last_seen, epoch_ns,
       first_token_ns, last_token_ns, first, last, tokens, chunks = tokens AS whole, clock,
       abs(max_gap_ns - widest) / 1e6 AS widest_ms, (started_ns - due_ns) / 1e6 AS late_ms
FROM '{ledger}' JOIN told USING (request_id) WHERE phase = 'steady' AND outcome = 'ok'
"""
USER_BOOKS = """
WITH pairs AS (
    SELECT books.*, seen.column0 - first_token_ns AS zero, seen.column2 - seen.column0 AS first_late,
           seen.column3 - seen.column1 AS last_late
    FROM books JOIN read_csv('{seen}', delim=' ', header=false) AS seen
    ON last_token_ns - first_token_ns = seen.column1 - seen.column0
)
SELECT * EXCLUDE (zero, first_late, last_late)
       REPLACE (first_seen + first_late AS first_seen, last_seen + last_late AS last_seen,
                'user' AS clock, NULL AS widest_ms)
FROM pairs WHERE zero = (SELECT mode(zero) FROM pairs)
"""
ERRORS = """
WITH errors AS (
    SELECT *, (first_seen - first) / 1e6 AS first_ms,
           ((last_seen - first_seen) - (last - first)) / 1e6 / (tokens - 1) AS gap_ms
    FROM {books}
)
SELECT count(*), count(*) FILTER (NOT whole), any_value(clock),
       quantile_disc(first_ms, 0.5), quantile_disc(first_ms, 0.99), max(first_ms),
       avg(abs(gap_ms)), quantile_disc(widest_ms, 0.99), quantile_disc(late_ms, 0.99)
FROM errors
"""
HEAD = (
    "| joined | torn | clock | TTFT error p50 / p99 / max, ms | ITL mean error, ms "
    "| widest gap p99 error, ms | start lag p99, ms |"
)
SEEN = "seen.txt"


@contextmanager
def server(folder: Path, tokens: int, *, tls: bool) -> Iterator[str]:
    """Run the paced server on the first core; yield its address. Its notes are there at the end."""
    program, settings = folder / "server", dict(os.environ)
    libraries = ("-DTLS", "-lssl", "-lcrypto") if tls else ()
    source = str(HERE / "server.c")
    compiler, tool = shutil.which("cc"), shutil.which("openssl")
    if compiler is None or tool is None:
        raise SystemExit(
            "this benchmark compiles its server: cc (and openssl for --tls) are needed"
        )
    subprocess.run((compiler, "-O2", "-o", str(program), source, *libraries), check=True)
    if tls:
        make = (
            tool,
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
        )
        names = ("-nodes", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost")
        files = ("-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem"))
        subprocess.run((*make, *names, *files), check=True, capture_output=True)
        settings |= {"TLS_CERT": str(folder / "cert.pem"), "TLS_KEY": str(folder / "key.pem")}
    pacing = (str(FIRST_MS), str(GAP_MS), str(tokens), str(folder / "truth.txt"))
    process = subprocess.Popen(
        (str(program), "0", *pacing), stdout=subprocess.PIPE, text=True, env=settings
    )
    os.sched_setaffinity(process.pid, {min(os.sched_getaffinity(0))})
    try:
        assert process.stdout is not None
        port = process.stdout.readline().strip()
        yield f"https://localhost:{port}" if tls else f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def run(
    arguments: argparse.Namespace, url: str, folder: Path
) -> tuple[Path, resource.struct_rusage, float]:
    """Run the load; return the run folder, what the client used, and wall seconds."""
    life_s = (FIRST_MS + GAP_MS * (arguments.tokens - 1)) / 1000
    path = folder / "paced.yaml"
    rate = round(arguments.streams / life_s)
    fill = max(1, round(life_s))
    users = arguments.streams * 2
    path.write_text(SCENARIO.format(rate=rate, fill=fill, seconds=arguments.seconds, users=users))
    request = RunRequest(
        load_scenario(path), ROOT / "slo" / "client.yaml", folder / "runs", url, workers=1
    )
    opened, _ = open_run(request, time.time_ns())
    plain = ROOT / "tfy_last9/swarm/locustfile.py"
    file = HERE / "both_clocks.py" if arguments.both_clocks else plain
    command = (
        sys.executable,
        "-m",
        "locust",
        "--headless",
        "--only-summary",
        "--loglevel",
        "ERROR",
    )
    settings = {"TFY_RUN_DIR": str(opened.path), "TFY_GATEWAY_URL": url, "TFY_API_KEY": "key"}
    settings["BOTH_CLOCKS"] = str(folder / SEEN)
    if arguments.tls:
        settings["SSL_CERT_FILE"] = str(folder / "cert.pem")
    began = time.monotonic()
    process = subprocess.Popen(
        (*command, "-f", str(file), "-u", str(users), "-r", str(users)),
        env=os.environ | settings,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=folder,
    )
    core = {max(os.sched_getaffinity(0))}
    os.sched_setaffinity(process.pid, core)
    loop = (sys.executable, "-c", "while True: pass")
    hogs = [subprocess.Popen(loop) for _ in range(arguments.saturate)]
    for hog in hogs:
        os.sched_setaffinity(hog.pid, core)
    try:
        _, _, usage = os.wait4(process.pid, 0)
        process.returncode = 0
    finally:
        for hog in hogs:
            hog.kill()
            hog.wait()
    seal(opened)
    return opened.path, usage, time.monotonic() - began


def main() -> None:
    """Measure once and print a row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, default=2000, help="concurrent")
    parser.add_argument("--tokens", type=int, default=100)
    parser.add_argument("--seconds", type=int, default=15)
    parser.add_argument("--tls", action="store_true")
    parser.add_argument("--saturate", type=int, nargs="?", const=1, default=0, metavar="LOOPS")
    parser.add_argument("--both-clocks", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with server(folder, arguments.tokens, tls=arguments.tls) as url:
            path, usage, wall_s = run(arguments, url, folder)
        with duckdb.connect() as database:
            ledger, truth = path / "requests.parquet", folder / "truth.txt"
            database.execute(f"CREATE TABLE books AS {BOOKS.format(ledger=ledger, truth=truth)}")
            tables = ["books"]
            if arguments.both_clocks:
                seen = USER_BOOKS.format(seen=folder / SEEN)
                database.execute(f"CREATE TABLE user_books AS {seen}")
                tables.append("user_books")
            found = [database.execute(ERRORS.format(books=name)).fetchone() for name in tables]
            outcomes = database.execute(
                f"SELECT outcome, count(*) FROM '{ledger}' GROUP BY 1"  # noqa: S608 - our own path
            ).fetchall()
            health = database.execute(
                f"SELECT max(in_flight), median(cpu_percent) FROM '{path / 'health.parquet'}'"  # noqa: S608 - our own path
            ).fetchone()
        from tfy_last9.adapters.runfolder.folder import RunFolder  # noqa: PLC0415

        gaps = read_gaps(RunFolder(path)).get(("steady", "one", None))
    assert health is not None
    print(f"{platform.platform()}, load {os.getloadavg()[0]:.1f}, {outcomes}")
    cpu_s = usage.ru_utime + usage.ru_stime
    print(
        f"in flight at most {health[0]}, client {cpu_s:.1f} CPU s in {wall_s:.1f} s, median {health[1]:.0f} %, "
        f"pushed off its core {usage.ru_nivcsw:,} times"
    )
    if gaps is not None:
        p50, p99 = (gaps.quantile(share) for share in (0.5, 0.99))
        print(f"gaps between tokens: n {gaps.total():,}, p50 {p50}, p99 {p99} ns")
    print(f"{HEAD}\n|---|---|---|---|---|---|---|")
    for row in found:
        assert row is not None
        n, torn, clock, p50, p99, greatest, itl, widest, late = row
        gap = "" if widest is None else f"{widest:.3f}"
        print(
            f"| {n:,} | {torn} | {clock} | {p50:.3f} / {p99:.3f} / {greatest:.3f} | {itl:.4f} | {gap} | {late:.2f} |"
        )


if __name__ == "__main__":
    main()

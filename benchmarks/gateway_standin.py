"""What the gateway stand-in can do on one core: chats a second, and how punctual its tokens are.

    python benchmarks/gateway_standin.py        # needs wrk (Debian package wrk) and two cores; two minutes

One process holds the gateway, the simulated providers and the exporter, pinned to the first core; wrk and
a receiver of OTLP exports run on the last. Chats: wrk as fast as it goes, answers of 5 tokens, each a
write of its own, at the providers' usual speed (0.22 s to the first token, 12 ms between tokens), counted
by wrk when they end in `[DONE]`. Streams: wrk holds 500 and more open at 50 tokens a second, begun at
different times as those of different users are; the lateness of each token is the instant at which the
gateway handed it to the socket, less the instant at which the simulated model was to say it, from the
journal, of all tokens while all streams were open.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import psutil

LUA = Path(__file__).parent / "gateway" / "chat.lua"
WRK = shutil.which("wrk") or "wrk"
RESULT = re.compile(r"RESULT (\d+) (\d+) (\d+) (\d+) (\d+) (\d+)")
CORES = sorted(os.sched_getaffinity(0))
FIRST, LAST = CORES[0], CORES[-1]
SECONDS = 12
TOKENS, STREAM_S = 200, 5
"""Of one long stream; it takes 4.5 s on average."""


class Sink(BaseHTTPRequestHandler):
    """Takes OTLP exports and keeps nothing of them; the gateway's journal counts the spans."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Read and accept."""
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-type", "application/x-protobuf")
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's
        """Say nothing."""


@dataclass
class Gateway:
    """The process under measurement."""

    process: subprocess.Popen[str]
    port: int
    journal: Path

    def cpu_s(self) -> float:
        """CPU time it has used, kernel included."""
        used = psutil.Process(self.process.pid).cpu_times()
        return float(used.user + used.system)

    def stop(self) -> None:
        """End it; it exports what is queued first."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=60)


def prefer(pid: int) -> None:
    """Let other sessions' jobs on the core wait, where that is allowed: the measurement is not about them.

    Linux shares a core among sessions first (autogroups); within one, threads stay each other's equals.
    """
    with suppress(OSError):
        Path(f"/proc/{pid}/autogroup").write_text("-20")


def prefer_by_thread(pid: int) -> None:
    """Put all of a process before whatever else runs, its first thread before the others.

    For cores that are not full, where the kernel wakes the first thread in time by itself if nothing else
    runs; on a full one exports would pile up unseen.
    """
    with suppress(PermissionError):
        for thread in (int(one.name) for one in Path(f"/proc/{pid}/task").iterdir()):
            priority = os.sched_param(2 if thread == pid else 1)
            os.sched_setscheduler(thread, os.SCHED_FIFO, priority)


def start(place: Path, otlp_port: int, *options: str) -> Gateway:
    """Start the gateway with its providers inside, on the first core."""
    journal = place / "journal.ndjson"
    command = [sys.executable, "-m", "tfy_last9.standins", "gateway", "--embed-providers"]
    command += [f"--otlp-endpoint=http://127.0.0.1:{otlp_port}/v1/traces", f"--journal={journal}"]
    secrets = {"SANDBOX_API_KEY": "bench", "SANDBOX_OTLP_AUTH": "Basic bench"}
    process = subprocess.Popen(
        [*command, *options],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | secrets,
        start_new_session=True,
    )
    os.sched_setaffinity(process.pid, {FIRST})
    assert process.stdout is not None
    port = json.loads(process.stdout.readline())["port"]
    prefer(process.pid)
    return Gateway(process, port, journal)


def wrk(
    port: int, connections: int, tokens: int, seconds: int, spread_ms: int | None = None
) -> list[int]:
    """Send load from the core this process is on; gives complete, broken, us, p50 us, p99 us, errors."""
    command = [WRK, "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "20s"]
    command += ["-s", str(LUA), f"http://127.0.0.1:{port}"]
    environment = os.environ | {"TOKENS": str(tokens), "CONNECTIONS": str(connections)}
    if spread_ms is not None:
        environment["SPREAD_MS"] = str(spread_ms)
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    found = RESULT.search(done.stdout)
    assert found is not None, done.stdout + done.stderr
    return [int(one) for one in found.groups()]


def chats(otlp_port: int, connections: int) -> None:
    """Print how many chats of 5 tokens a second are served with so many connections."""
    with tempfile.TemporaryDirectory() as place:
        gateway = start(Path(place), otlp_port)
        wrk(gateway.port, connections, 5, 2)  # warm up
        before_s, began = gateway.cpu_s(), time.monotonic()
        complete, broken, us, p50_us, p99_us, errors = wrk(gateway.port, connections, 5, SECONDS)
        ended = time.monotonic()
        used = (gateway.cpu_s() - before_s) / (ended - began)
        gateway.stop()
        requests, spans = 0, 0
        for line in gateway.journal.open():
            event = json.loads(line)
            if (
                began <= event["mono_ns"] / 1e9 <= ended
            ):  # what is exported afterwards does not count
                requests += event["event"] == "request"
                spans += event.get("spans", 0) if event["event"] == "export" and event["ok"] else 0
        print(
            f"{connections:>12}{complete / us * 1e6:>10,.0f}{broken + errors:>8}"
            f"{p50_us / 1e3:>9.0f}{p99_us / 1e3:>8.0f}{used:>8.0%}{spans / max(1, requests):>14.2f}",
            flush=True,
        )


def streams(otlp_port: int, connections: int) -> None:
    """Print how late tokens leave with so many streams at 50 tokens a second."""
    with tempfile.TemporaryDirectory() as place:
        gateway = start(Path(place), otlp_port, "--pace=300,20", "--record-sends")
        prefer_by_thread(gateway.process.pid)
        before_s, began = gateway.cpu_s(), time.monotonic()
        _, broken, _, _, _, errors = wrk(
            *(gateway.port, connections, TOKENS, SECONDS + 2 * STREAM_S), spread_ms=STREAM_S * 1000
        )
        used = (gateway.cpu_s() - before_s) / (time.monotonic() - began)
        gateway.stop()
        due_ns, late_ns = paced(gateway.journal)
        # From when the last stream has begun until the first one begins that does not end.
        begun_ns = due_ns.min() + STREAM_S * 1_000_000_000
        counted = (due_ns > begun_ns) & (due_ns < due_ns.max() - STREAM_S * 1_000_000_000)
        p50, p99, worst = np.percentile(late_ns[counted] / 1e6, (50, 99, 100))
        rate = counted.sum() / np.ptp(due_ns[counted]) * 1e9
        print(
            f"{connections:>12}{rate:>12,.0f}{broken + errors:>8}{p50:>10.2f}{p99:>8.2f}{worst:>8.1f}"
            f"{used:>8.0%}{counted.sum():>12,}",
            flush=True,
        )


def paced(journal: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read when the tokens of complete streams were due, and how late they were sent, in ns."""
    due: dict[str, list[int]] = {}
    found: list[np.ndarray] = []
    for line in journal.open():
        event = json.loads(line)
        if event["event"] == "answer":
            due[f"chatcmpl-{event['provider']}-{event['k']}"] = event["due_mono_ns"]
        elif event["event"] == "request" and event["outcome"] == "ok":
            sent = np.array(event["sends_mono_ns"])
            planned = np.array(due[event["answer_id"]][: len(sent)])
            found.append(np.stack([planned, sent - planned]))
    due_ns, late_ns = np.concatenate(found, axis=1)
    return due_ns, late_ns


def main(arguments: list[str]) -> None:
    """Print both tables, or one row: `chats N`, `streams N`."""
    sink = ThreadingHTTPServer(("127.0.0.1", 0), Sink)
    os.sched_setaffinity(0, {LAST})
    with suppress(PermissionError):  # it leads a session already
        os.setsid()
    prefer(os.getpid())
    threading.Thread(target=sink.serve_forever, daemon=True).start()
    port = sink.server_address[1]
    counts = [int(arguments[1])] if arguments else []
    if not arguments or arguments[0] == "chats":
        print(" connections   chats/s  failed  p50 ms  p99 ms     CPU  spans a chat")
        for connections in counts or (400, 700, 1000):
            chats(port, connections)
    if not arguments or arguments[0] == "streams":
        print("     streams    tokens/s  failed  late p50     p99     max     CPU      tokens")
        for connections in counts or (500, 750):
            streams(port, connections)


if __name__ == "__main__":
    main(sys.argv[1:])

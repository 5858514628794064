"""What the relay costs per 10,000 ledger rows: CPU of the worker that packs, and of the master that stores.

    python benchmarks/relay_cost.py [--rounds 9] [--rows-per-letter 1000]

Everything but the socket: rows to NDJSON, zlib, msgpack as Locust frames it, inbox, threadpool, file. "hub" is
the time in which no greenlet of the process can run; the rest runs on native threads beside it.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import tempfile
import time
import zlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gevent
from locust.rpc.protocol import Message

from tfy_last9.adapters.files.scenario import load_scenario
from tfy_last9.model.request import LedgerRow
from tfy_last9.swarm.lines import ledger_line
from tfy_last9.swarm.run import Run

ROOT = Path(__file__).parents[1]
ROWS = 10_000


def row(seq: int) -> LedgerRow:
    """Return a row as a streamed chat leaves it."""
    known: dict[str, Any] = {
        "run_id": "20261125-040000-bench-abcdef",
        "request_id": f"20261125-040000-bench-abcdef.{seq}",
        "worker": 0,
        "seq": seq,
        "phase": "steady",
        "target": "openai",
        "provider": "openai",
        "model": "openai-main/gpt-4o-mini",
        "api": "chat",
        "stream": True,
        "attempt": 1,
        "due_ns": seq * 2_000_317,
        "started_ns": seq * 2_000_317 + 40_123,
        "written": True,
        "first_byte_ns": seq * 2_000_317 + 200_300_411,
        "epoch_ns": 1_795_577_128_160_483_287,
        "first_token_ns": seq * 2_000_317 + 201_300_411,
        "clock": "kernel",
        "status": 200,
        "first_answer_ns": seq * 2_000_317 + 201_300_411,
        "outcome": "ok",
        "chunks": 20,
        "last_token_ns": seq * 2_000_317 + 601_300_411,
        "finish_reason": "stop",
        "finished_ns": seq * 2_000_317 + 601_400_411,
        "input_tokens": 11,
        "output_tokens": 20,
        "max_gap_ns": 20_113_007 + seq % 977,
        "bytes_in": 5_321,
        "reasoning_tokens": 0,
        "client_trace_id": f"{seq * 7919:032x}",
        "trace_id": f"{seq * 104_729:032x}",
        "root_span_id": f"{seq * 15_485_863:016x}",
        "resolved_model": "gpt-4o-mini-2024-07-18",
    }
    return LedgerRow(**(dict.fromkeys(LedgerRow._fields) | known))  # type: ignore[arg-type]


def pack(rows: list[LedgerRow], per_letter: int) -> tuple[list[bytes], float, float]:
    """Return Locust's frames, and the worker's CPU seconds: on the hub, and in compression beside it."""
    frames, hub_s, beside_s = [], 0.0, 0.0
    for number, start in enumerate(range(0, len(rows), per_letter), start=1):
        before_s = time.thread_time()
        lines = b"".join(ledger_line(one) for one in rows[start : start + per_letter])
        packed_s = time.thread_time()
        packed = zlib.compress(lines, 1)
        beside_s += time.thread_time() - packed_s
        hub_s += packed_s - before_s
        before_s = time.thread_time()
        data = {"run_id": "r", "worker": 0, "number": number, "rows": packed}
        frames.append(Message("tfy.letter", data, "host_1").serialize())
        hub_s += time.thread_time() - before_s
    return frames, hub_s, beside_s


def store(frames: list[bytes], folder: Path) -> tuple[float, float]:
    """Return the master's CPU seconds: on the hub, and on native threads beside it."""
    place: Any = SimpleNamespace(work_path=folder / ".work")
    run = Run(place, load_scenario(ROOT / "scenarios" / "smoke.yaml"), "r")
    acknowledged: list[int] = []
    all_s, hub_s = time.process_time(), time.thread_time()
    for frame in frames:
        run.take(Message.unserialize(frame).data, acknowledged.append)
        gevent.sleep(0)  # letters come one by one
    while acknowledged[-1:] != [len(frames)]:
        gevent.sleep(0.001)
    hub_s = time.thread_time() - hub_s
    all_s = time.process_time() - all_s
    run.close()
    return hub_s, all_s - hub_s


def main() -> None:
    """Measure several times, and print medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--rows-per-letter", type=int, default=1000)
    options = parser.parse_args()
    rows = [row(seq) for seq in range(ROWS)]
    found: dict[str, list[float]] = {
        name: [] for name in ("worker hub", "worker beside", "master hub", "master beside")
    }
    size = 0
    for _ in range(options.rounds):
        frames, hub_s, beside_s = pack(rows, options.rows_per_letter)
        size = sum(map(len, frames))
        with tempfile.TemporaryDirectory() as name:
            master_hub_s, master_beside_s = store(frames, Path(name))
        taken = (hub_s, beside_s, master_hub_s, master_beside_s)
        for values, seconds in zip(found.values(), taken, strict=True):
            values.append(seconds * 1000)
    raw = sum(len(ledger_line(one)) for one in rows)
    print(f"{platform.platform()}, load {os.getloadavg()[0]:.1f}")
    print(
        f"{ROWS:,} rows, {options.rows_per_letter} a letter: {raw / 1e6:.2f} MB, packed {size / 1e6:.2f} MB"
    )
    print("| where | CPU ms per 10,000 rows, median | least | most |\n|---|---|---|---|")
    for name, values in found.items():
        print(
            f"| {name} | {statistics.median(values):.1f} | {min(values):.1f} | {max(values):.1f} |"
        )


if __name__ == "__main__":
    main()

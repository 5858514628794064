"""What one request costs the product besides reading its answer: ledger, events, schedule, request bytes.

    python benchmarks/per_request_costs.py [--times 20000]

Each part is called alone, in a loop, in a process with Locust loaded; microseconds per call, best of five loops.
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import locust  # noqa: F401 - patches the standard library, as in a real run
from locust.env import Environment

from tfy_last9.adapters.files.scenario import load_scenario
from tfy_last9.arrivals.schedule import Arrival, share
from tfy_last9.model.request import Outcome
from tfy_last9.stats.histogram import Histogram
from tfy_last9.swarm.call import Answer
from tfy_last9.swarm.lines import ledger_line
from tfy_last9.swarm.record import Epoch, Recorder
from tfy_last9.swarm.stream import StreamDriver
from tfy_last9.wire.http1 import ResponseReader
from tfy_last9.wire.sse import EventReader

SCENARIO = """
name: bench
targets: [{name: one, model: acc/m, provider: openai}]
arrivals: {kind: poisson, rate: 20000/s}
phases: [{name: steady, duration: 100s}]
prompts: [Hello]
limits: {users: 400}
"""
SHAPE = (
    '{"id":"c","object":"chat.completion.chunk","created":1,"model":"m",'
    '"choices":[{"index":0,"delta":{%s},"finish_reason":%s}]}'
)
TOKEN = b"data: %b\n\n" % (SHAPE % ('"content":" word"', "null")).encode()
FINISH = b"data: %b\n\n" % (SHAPE % ("", '"stop"')).encode()
USAGE = b'data: {"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":20}}\n\n'
DONE = b"data: [DONE]\n\n"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def chunk(event: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(event), event)


def parts(folder: Path) -> Iterator[tuple[str, Callable[[], object]]]:
    """Yield the name and the work of each part."""
    path = folder / "bench.yaml"
    path.write_text(SCENARIO)
    scenario = load_scenario(path)
    recorder = Recorder(scenario, "20261125-101500-bench-ab12cd", 0, Epoch.now())
    driver = StreamDriver("http://127.0.0.1:1", "key", scenario.limits)
    call = recorder.call(Arrival(5, 100, "steady", 0, 0))
    answer = Answer(started_ns=time.monotonic_ns(), outcome=Outcome.OK, bytes_in=4000)
    facts = answer.facts = call.outgoing.facts()
    answer.finished_ns = answer.first_byte_ns = facts.first_token_ns = time.monotonic_ns()
    answer.headers = {"content-type": "text/event-stream"}
    facts.chunks, facts.finish_reason, facts.resolved_model = 20, "stop", "m"
    row = recorder.row(call, answer)
    environment: Any = Environment()
    environment.create_local_runner()
    fire, stats = environment.events.request.fire, environment.stats
    arrivals = share(scenario, 0, 1)
    yield "schedule: next arrival", lambda: next(arrivals)
    yield "request: ids", lambda: recorder.call(call.arrival)
    yield "request: bytes", lambda: driver._prepared.request(call)  # noqa: SLF001 - the part is private
    yield "ledger: row", lambda: recorder.row(call, answer)
    yield "ledger: line", lambda: ledger_line(row)
    told = {"request_type": "CHAT", "name": "one", "response_time": 1.5, "response_length": 5}
    yield (
        "events.request, with Locust's statistics",
        lambda: fire(**told, exception=None, context={}),
    )
    yield "one side entry", lambda: stats.get("one", "TTFT").log(1.5, 0)
    gaps = Histogram()
    yield "one gap counted", lambda: gaps.add(20_000_000)
    body = TOKEN * 20 + FINISH + USAGE + DONE
    answered = HEAD + b"".join(map(chunk, (*[TOKEN] * 20, FINISH, USAGE, DONE))) + b"0\r\n\r\n"
    reader = ResponseReader()

    def framing() -> None:
        reader.reset()
        reader.feed(answered)

    yield "reading: HTTP framing of 23 chunks", framing
    yield "reading: 23 events at once", lambda: EventReader(call.outgoing.facts()).feed(body, 5)
    paced = EventReader(call.outgoing.facts())
    paced.feed(TOKEN, 1)
    yield "reading: one more token alone", lambda: paced.feed(TOKEN, 7)


def main() -> None:
    """Measure every part and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=20_000)
    times = parser.parse_args().times
    print(
        f"{platform.platform()}, Python {platform.python_version()}, load {os.getloadavg()[0]:.1f}"
    )
    print("| part | us |")
    print("|---|---|")
    with tempfile.TemporaryDirectory() as name:
        for part, work in parts(Path(name)):
            loops = []
            for _ in range(5):
                began = time.perf_counter()
                for _ in range(times):
                    work()
                loops.append(time.perf_counter() - began)
            print(f"| {part} | {min(loops) / times * 1e6:.2f} |")


if __name__ == "__main__":
    main()

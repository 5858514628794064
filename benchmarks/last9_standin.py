"""How fast the Last9 stand-in takes spans over OTLP/HTTP and groups a million of them.

Starts the process as the sandbox does, with a file below a temporary directory. Spans look like those
of an LLM gateway: 25 attributes of some 20 bytes, 512 spans a request, ids that never repeat.
"""

from __future__ import annotations

import argparse
import gzip
import http.client
import os
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

BATCH = 512
CONNECTIONS = 4
MARK = b"@#~!"
"""Stands for the number of the request in all ids and in every third attribute."""
AUTH = "Basic YmVuY2g6YmVuY2g="
MODELS = ("openai-main/gpt-4o-mini", "anthropic-main/claude-sonnet-4-6", "gemini-main/gemini-flash")
RUN = "20261123-bench"
WINDOW_S = 3600


def attribute(key: str, value: str | float) -> KeyValue:
    if isinstance(value, str):
        return KeyValue(key=key, value=AnyValue(string_value=value))
    if isinstance(value, int):
        return KeyValue(key=key, value=AnyValue(int_value=value))
    return KeyValue(key=key, value=AnyValue(double_value=value))


def template(start_s: int) -> bytes:
    """Serialise one export whose ids all hold a mark that is replaced for each request."""
    dice = random.Random(1)
    export = ExportTraceServiceRequest()
    group = export.resource_spans.add()
    group.resource.attributes.append(attribute("service.name", "tfy-llm-gateway"))
    spans = group.scope_spans.add().spans
    for number in range(BATCH):
        model = MODELS[number % 3]
        span = spans.add(name=f"Model: {model}")
        span.trace_id = MARK + number.to_bytes(12, "big")
        span.span_id = MARK + number.to_bytes(4, "big")
        span.start_time_unix_nano = start_s * 10**9 + dice.randrange(WINDOW_S * 10**9)
        span.end_time_unix_nano = span.start_time_unix_nano + dice.randrange(10**8, 3 * 10**9)
        span.status.code = 2 if dice.random() < 0.02 else 1
        span.attributes.extend(
            [
                attribute("tfy.span_type", "Model"),
                attribute("tfy.model.name", model),
                attribute("tfy.model.fqn", f"bench:{model.split('-')[0]}:{model}"),
                attribute("tfy.request.metadata", f'{{"run_id":"{RUN}","arm":"baseline"}}'),
                attribute("http.response.status_code", 200),
                attribute("tfy.model.metric.latency_in_ms", dice.random() * 3000),
                attribute("tfy.model.metric.cost_in_usd", dice.random() / 1000),
                *(attribute(f"tfy.bench.attribute_{n}", _text(n, number)) for n in range(18)),
            ]
        )
    serialised: bytes = export.SerializeToString()
    return serialised


def _text(place: int, number: int) -> str:
    """Write a value: one of three is new in each request, one of three is the same for all."""
    if place % 3 == 0:
        return f"value {MARK.decode()} of {number}"
    return f"value {place} of {number}" if place % 3 == 1 else f"value of {place}"


def bodies(source: bytes, first: int, count: int) -> list[bytes]:
    numbers = range(first, first + count)
    return [source.replace(MARK, str(1000 + n).encode()) for n in numbers]


class Standin:
    """The stand-in as a process."""

    def __init__(self, directory: Path) -> None:
        command = [sys.executable, "-m", "tfy_last9.standins", "last9", "--data", str(directory)]
        self._process = subprocess.Popen(
            [*command, "--journal", str(directory / "journal.ndjson")],
            stdout=subprocess.PIPE,
            env=os.environ | {"SANDBOX_OTLP_AUTH": AUTH},
        )
        assert self._process.stdout is not None
        ready = orjson.loads(self._process.stdout.readline())
        self.port: int = ready["port"]
        self._refresh_token: str = ready["refresh_token"]

    def call(self, method: str, path: str, body: object = None, **headers: str) -> Any:
        """Send one request and read its JSON answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port)
        content = None if body is None else orjson.dumps(body)
        connection.request(method, path, content, headers)
        answer = orjson.loads(connection.getresponse().read())
        connection.close()
        return answer

    def stored(self) -> int:
        """Count the spans that queries see."""
        return int(self.call("GET", "/sandbox/health")["spans"])

    def send(self, batches: list[bytes], *, zipped: bool) -> None:
        """Post all batches over a few connections; returns when all are answered."""
        waiting = list(reversed(batches))
        headers = {"Authorization": AUTH, "Content-Type": "application/x-protobuf"}
        if zipped:
            headers["Content-Encoding"] = "gzip"

        def work() -> None:
            connection = http.client.HTTPConnection("127.0.0.1", self.port)
            while waiting:
                try:
                    batch = waiting.pop()
                except IndexError:
                    break
                connection.request("POST", "/v1/traces", batch, headers)
                answer = connection.getresponse()
                answer.read()
                assert answer.status == 200, answer.status
            connection.close()

        threads = [threading.Thread(target=work) for _ in range(CONNECTIONS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def wait_for(self, spans: int) -> None:
        """Return when queries see so many spans."""
        while self.stored() < spans:
            time.sleep(0.01)

    def query(self, stages: list[object], start_s: int) -> Any:
        """Run a pipeline over the hour of the spans."""
        exchange = {"refresh_token": self._refresh_token}
        token = self.call("POST", "/api/v4/oauth/access_token", exchange)["access_token"]
        base = "/api/v4/organizations/acme/cat/api/traces/v2/query_range/json"
        window = f"region=ap-south-1&start={start_s}&end={start_s + WINDOW_S}&limit=5000"
        header = {"X-LAST9-API-TOKEN": f"Bearer {token}"}
        return self.call("POST", f"{base}?{window}", {"pipeline": stages}, **header)

    def cpu_s(self) -> float:
        """Processor time of all its threads so far."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory_mb(self) -> float:
        """Highest resident memory so far."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) / 1024

    def stop(self) -> None:
        """End it gently."""
        self._process.terminate()
        self._process.wait()


def ingest(
    standin: Standin, source: bytes, spans: int, *, zipped: bool
) -> tuple[float, float, float]:
    """Send so many spans; returns spans/s until answered, until visible, and by CPU second."""
    before, batches = standin.stored(), spans // BATCH
    first = 1 + before // BATCH
    made = bodies(source, first, batches)
    content = [gzip.compress(body, 1) for body in made] if zipped else made
    cpu_s = standin.cpu_s()
    began_s = time.perf_counter()
    standin.send(content, zipped=zipped)
    answered_s = time.perf_counter() - began_s
    standin.wait_for(before + batches * BATCH)
    visible_s = time.perf_counter() - began_s
    sent = batches * BATCH
    return sent / answered_s, sent / visible_s, sent / (standin.cpu_s() - cpu_s)


def median_ms(work: Callable[[], object], times: int) -> float:
    taken = []
    for _ in range(times):
        began_s = time.perf_counter()
        work()
        taken.append((time.perf_counter() - began_s) * 1e3)
    return statistics.median(taken)


def queries() -> dict[str, list[object]]:
    run = {"$contains": ["attributes['tfy.request.metadata']", RUN]}
    only = {"type": "filter", "query": {"$and": [{"$eq": ["ServiceName", "tfy-llm-gateway"]}, run]}}
    count = {"function": {"$count": []}, "as": "n"}
    p95 = {"function": {"$quantile": [0.95, "Duration"]}, "as": "p95_ns"}
    model = {"attributes['tfy.model.fqn']": "model", "StatusCode": "status"}
    other = {"attributes['tfy.bench.attribute_3']": "value"}
    return {
        "count by model and status": [only, _aggregate([count], model)],
        "count and p95 by model and status": [only, _aggregate([count, p95], model)],
        "count by an attribute without a column": [only, _aggregate([count], other)],
    }


def _aggregate(aggregates: list[Any], groups: dict[str, str]) -> dict[str, object]:
    return {"type": "aggregate", "aggregates": aggregates, "groupby": groups}


def parts(source: bytes) -> None:
    """Time the two halves of the work on one thread, without HTTP."""
    import duckdb  # noqa: PLC0415 - only this table needs it

    from tfy_last9.standins.last9.otlp import decode_protobuf  # noqa: PLC0415 - as above
    from tfy_last9.standins.last9.settings import NumericAttributes  # noqa: PLC0415 - as above
    from tfy_last9.standins.last9.store import SCHEMA  # noqa: PLC0415 - as above

    rows = decode_protobuf(source, NumericAttributes.STRING).rows
    database = duckdb.connect()
    database.execute(SCHEMA)
    appender = database.appender("spans")
    decoding = median_ms(lambda: decode_protobuf(source, NumericAttributes.STRING), 30)
    appending = median_ms(lambda: appender.append_rows(rows), 30)
    print(
        f"| decode one request of {BATCH} spans | {decoding:.1f} ms = {decoding / BATCH * 1e3:.1f} us a span |"
    )
    print(f"| append its rows | {appending:.1f} ms = {appending / BATCH * 1e3:.1f} us a span |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spans", type=int, default=1_000_000)
    spans = parser.parse_args().spans
    start_s = int(time.time()) - WINDOW_S
    source = template(start_s)
    print(
        f"{BATCH} spans a request, {len(source) / 1e3:.0f} kB, gzip {len(gzip.compress(source, 1)) / 1e3:.0f} kB"
    )
    print("\n| what | figure |\n|---|---|")
    parts(source)
    with tempfile.TemporaryDirectory() as directory:
        standin = Standin(Path(directory))
        ingest(standin, source, 10 * BATCH, zipped=False)
        for zipped in (False, True):
            answered, visible, by_cpu = ingest(standin, source, 100_000, zipped=zipped)
            name = "gzip" if zipped else "identity"
            print(f"| 100 000 spans, {name}: until answered | {answered:,.0f}/s |")
            print(f"| until queries see them | {visible:,.0f}/s |")
            print(f"| by second of the server's CPU | {by_cpu:,.0f}/s |")
        while standin.stored() < spans:
            ingest(standin, source, 50_000, zipped=False)
        total = standin.stored()
        for name, stages in queries().items():
            taken = median_ms(lambda stages=stages: standin.query(stages, start_s), 7)  # type: ignore[misc] # bound in the loop
            print(f"| {name}, {total:,} spans | {taken:.0f} ms |")
        print(f"| peak memory | {standin.memory_mb():.0f} MB |")
        standin.stop()
        size = sum(file.stat().st_size for file in Path(directory).glob("*.duckdb*"))
        print(f"| file | {size / 1e6:.0f} MB |")
        began_s = time.perf_counter()
        again = Standin(Path(directory))
        print(f"| restart until ready | {time.perf_counter() - began_s:.1f} s |")
        print(f"| spans after restart | {again.stored():,} of {total:,} |")
        again.stop()


if __name__ == "__main__":
    main()

"""Spans of a finished run, sent again to a Last9 stand-in with other switches."""

import base64
import json
import os
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import httpx
from gating import clean_environment, command, run
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

STANDINS = [sys.executable, "-m", "tfy_last9.standins"]
INGEST = "Basic " + base64.b64encode(b"replay:replay").decode()
EVIDENCE = ("spans.parquet", "evidence.json", "verdict.json")
KINDS = {bool: "bool_value", int: "int_value", float: "double_value", str: "string_value"}


def any_value(value):
    if isinstance(value, list):
        return AnyValue(array_value=ArrayValue(values=map(any_value, value)))
    return AnyValue(**{KINDS[type(value)]: value})


def key_values(attributes):
    return [KeyValue(key=key, value=any_value(value)) for key, value in attributes.items()]


def span_of(document, start_ns):
    return Span(
        trace_id=bytes.fromhex(document["TraceId"]),
        span_id=bytes.fromhex(document["SpanId"]),
        parent_span_id=bytes.fromhex(document["ParentSpanId"]),
        name=document["SpanName"],
        kind=document["SpanKind"],
        start_time_unix_nano=start_ns,
        end_time_unix_nano=start_ns + document["Duration"],
        attributes=key_values(document["SpanAttributes"]),
        status=Status(code=document["StatusCode"], message=document["StatusMessage"]),
    )


def export_of(database):
    """Read what a stand-in stored and write it as one OTLP export."""
    with duckdb.connect(str(database), read_only=True) as connection:
        rows = connection.execute("SELECT doc, start_ns FROM spans").fetchall()
    documents = [(json.loads(doc), start_ns) for doc, start_ns in rows]
    export = ExportTraceServiceRequest()
    group = export.resource_spans.add()
    group.resource.attributes.extend(key_values(documents[0][0]["ResourceAttributes"]))
    group.scope_spans.add().spans.extend(span_of(*document) for document in documents)
    return export.SerializeToString()


@contextmanager
def sandbox(directory, *options):
    """Run a whole sandbox and give the settings a client needs."""
    up = [*STANDINS, "up", "--dir", str(directory), *options]
    with subprocess.Popen(up, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield json.loads(process.stdout.readline())["env"]
        finally:
            process.terminate()


@contextmanager
def last9(directory, *options):
    """Run a Last9 stand-in alone, in memory."""
    started = [*STANDINS, "last9", "--journal", str(directory / "journal.ndjson"), *options]
    environment = os.environ | {"SANDBOX_OTLP_AUTH": INGEST}
    with subprocess.Popen(started, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            ready = json.loads(process.stdout.readline())
            url = f"http://127.0.0.1:{ready['port']}"
            yield {"LAST9_API_URL": url, "LAST9_REFRESH_TOKEN": ready["refresh_token"]}
        finally:
            process.terminate()


@dataclass
class Recording:
    """A run that passed, and its spans."""

    folder: Path
    export: bytes
    spans: int
    settings: dict = field(default_factory=dict)

    def send_to(self, url, *, all_of_them=True):
        """Export everything and wait until queries can see it."""
        headers = {"Authorization": INGEST, "Content-Type": "application/x-protobuf"}
        with httpx.Client(base_url=url, trust_env=False) as client:
            client.post("/v1/traces", content=self.export, headers=headers).raise_for_status()
            if all_of_them:
                while client.get("/sandbox/health").json()["spans"] < self.spans:
                    time.sleep(0.02)

    def collected(self, directory, *options, **changes):
        """Fetch and judge the run again from a stand-in with these options."""
        copy = directory / self.folder.name
        # Without what was fetched before: `collect` would add to it.
        shutil.copytree(self.folder, copy, ignore=shutil.ignore_patterns(*EVIDENCE))
        with last9(directory, *options) as settings:
            dropped = any(option.startswith("--drop-rules") for option in options)
            self.send_to(settings["LAST9_API_URL"], all_of_them=not dropped)
            ended = run("collect", copy, cwd=directory, **settings, **changes)
        return ended, json.loads((copy / "verdict.json").read_text())


def record(directory, scenario, slo, *options):
    """Run a gate against a sandbox that is started apart, and keep what Last9 stored."""
    with sandbox(
        directory / "sandbox", "--last9-option=--numeric-attributes=number", *options
    ) as env:
        done = subprocess.run(
            command("gate", scenario, "--slo", slo, "--out", directory / "runs"),
            cwd=directory,
            env=clean_environment(**env),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
    (folder,) = (path for path in (directory / "runs").iterdir() if (path / "run.json").is_file())
    export = export_of(directory / "sandbox" / "last9" / "spans-2.duckdb")
    spans = len(ExportTraceServiceRequest.FromString(export).resource_spans[0].scope_spans[0].spans)
    return Recording(folder, export, spans)

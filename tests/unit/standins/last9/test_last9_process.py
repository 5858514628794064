"""The stand-in as a process: what it announces, how it ends, what survives."""

import os
import signal
import socket
import subprocess
import sys
import time

import httpx
import orjson
import pytest
from last9_sandbox import OTLP_AUTH, make_export, make_span

pytestmark = pytest.mark.contract


@pytest.fixture
def launch(tmp_path):
    """Start stand-in processes; those that still run are killed after the test."""
    started = []

    def begin(*arguments, **environment):
        command = [sys.executable, "-m", "tfy_last9.standins", "last9"]
        process = subprocess.Popen(
            [*command, "--journal", str(tmp_path / "journal.ndjson"), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=os.environ | {"SANDBOX_OTLP_AUTH": OTLP_AUTH} | environment,
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        with process:
            process.kill()


def ready(process):
    line = process.stdout.readline()
    assert line, process.stderr.read().decode()
    return orjson.loads(line)


def export(port, *spans):
    headers = {"Authorization": OTLP_AUTH, "Content-Type": "application/x-protobuf"}
    body = make_export(*spans).SerializeToString()
    return httpx.post(f"http://127.0.0.1:{port}/v1/traces", content=body, headers=headers)


def exchange(port, refresh_token):
    url = f"http://127.0.0.1:{port}/api/v4/oauth/access_token"
    return httpx.post(url, json={"refresh_token": refresh_token})


def stored(port):
    return httpx.get(f"http://127.0.0.1:{port}/sandbox/health").json()["spans"]


def test_it_announces_a_working_refresh_token_and_leaves_cleanly_on_sigterm(launch):
    process = launch("--port", "0")
    announced = ready(process)
    assert announced["ready"] is True
    assert exchange(announced["port"], announced["refresh_token"]).status_code == 200
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=10) == 0
    assert process.stderr.read() == b""


def test_spans_and_tokens_outlive_a_restart(launch, tmp_path):
    """SIGTERM right after an export: what was answered with 200 is in the file."""
    data = ("--data", str(tmp_path / "data"))
    first = launch(*data)
    announced = ready(first)
    assert export(announced["port"], make_span(1), make_span(2)).status_code == 200
    first.terminate()
    assert first.wait(timeout=10) == 0
    second = launch(*data)
    port = ready(second)["port"]
    assert stored(port) == 2
    assert exchange(port, announced["refresh_token"]).status_code == 200


def test_spans_that_queries_saw_outlive_a_kill(launch, tmp_path):
    data = ("--data", str(tmp_path / "data"))
    first = launch(*data)
    port = ready(first)["port"]
    export(port, make_span(1))
    for _ in range(500):
        if stored(port) == 1:
            break
        time.sleep(0.01)
    first.kill()
    first.wait()
    assert stored(ready(launch(*data))["port"]) == 1


def test_it_ends_when_its_lifeline_is_cut(launch):
    process = launch("--stdin-lifeline")
    ready(process)
    process.stdin.close()
    assert process.wait(timeout=10) == 0


def test_a_taken_port_and_a_taken_file_end_it_with_23(launch, tmp_path):
    data = ("--data", str(tmp_path / "data"))
    ready(launch(*data))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port_taken = launch("--port", str(taken.getsockname()[1]))
        file_taken = launch(*data)
        assert port_taken.wait(timeout=10) == file_taken.wait(timeout=10) == 23
    assert b"in use" in port_taken.stderr.read()
    assert b"--data" in file_taken.stderr.read()


@pytest.mark.parametrize("credential", ["", "c2FuZGJveA=="])
def test_without_a_basic_credential_it_does_not_start(launch, credential):
    process = launch(SANDBOX_OTLP_AUTH=credential)
    assert process.wait(timeout=10) == 24
    assert b"SANDBOX_OTLP_AUTH" in process.stderr.read()

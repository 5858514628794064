"""The sandbox as a client meets it: real processes, real sockets, the official OpenAI client."""

import base64
import json
import os
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx
import openai
import pytest

pytestmark = pytest.mark.contract

UP = [sys.executable, "-m", "tfy_last9.standins", "up"]
MODELS = [
    "openai-main/gpt-4o-mini",
    "anthropic-main/claude-sonnet-4-6",
    "gemini-main/gemini-2.5-flash",
]
QUESTION = [{"role": "user", "content": "Why is the sky blue?"}]


@dataclass
class Running:
    """A started sandbox."""

    process: subprocess.Popen
    ready: dict
    directory: Path

    @property
    def url(self) -> str:
        return self.ready["env"]["TFY_GATEWAY_URL"]

    @property
    def headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.ready['env']['TFY_API_KEY']}"}

    def journal(self, event: str, **fields) -> list[dict]:
        lines = map(json.loads, Path(self.ready["journal"]).read_text().splitlines())
        wanted = {"event": event, **fields}
        return [line for line in lines if wanted.items() <= line.items()]

    def client(self) -> openai.OpenAI:
        key = self.ready["env"]["TFY_API_KEY"]
        return openai.OpenAI(base_url=self.url, api_key=key, max_retries=0)

    def set_faults(self, *specs: str) -> httpx.Response:
        return httpx.put(f"{self.url}/sandbox/faults", json=list(specs), headers=self.headers)


def start(directory: Path, *options: str) -> Running:
    process = subprocess.Popen(
        [*UP, "--dir", str(directory), *options], stdout=subprocess.PIPE, text=True
    )
    return Running(process, json.loads(process.stdout.readline()), directory)


def end(running: Running, number: int = signal.SIGTERM) -> int:
    running.process.send_signal(number)
    exit_code = running.process.wait(timeout=20)
    running.process.stdout.close()
    return exit_code


def eventually(seen, within_s: float = 10.0):
    """Poll until `seen()` is true; other processes act when they are scheduled."""
    deadline = time.monotonic() + within_s
    while not (found := seen()):
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.02)
    return found


def is_alive(pid: int) -> bool:
    """Tell whether a process runs; a zombie that nobody has reaped yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory):
    running = start(tmp_path_factory.mktemp("sandbox"), "--seed", "5")
    yield running
    assert end(running) == 0


@pytest.fixture
def faulty(sandbox):
    yield sandbox
    assert sandbox.set_faults().json() == []


def target_of(headers) -> dict[str, str]:
    return json.loads(base64.b64decode(headers["x-tfy-feedback-target-id"]))


def ask(sandbox, model: str, request_id: str, **more) -> httpx.Response:
    metadata = json.dumps({"run_id": "contract", "request_id": request_id})
    return httpx.post(
        f"{sandbox.url}/chat/completions",
        json={"model": model, "messages": QUESTION, "max_tokens": 20, **more},
        headers={**sandbox.headers, "x-tfy-metadata": metadata},
    )


@pytest.mark.parametrize("model", MODELS)
def test_the_official_client_reads_a_stream_of_twenty_tokens(sandbox, model):
    metadata = json.dumps({"run_id": "sdk", "request_id": model})
    with sandbox.client() as client:
        raw = client.chat.completions.with_raw_response.create(
            model=model,
            messages=QUESTION,
            max_tokens=20,
            stream=True,
            stream_options={"include_usage": True},
            extra_headers={"x-tfy-metadata": metadata},
        )
        chunks = list(raw.parse())
    assert chunks[0].choices[0].delta.role == "assistant"
    assert not chunks[0].choices[0].delta.content
    tokens = [c for c in chunks if c.choices and c.choices[0].delta.content]
    assert len(tokens) == 20
    assert chunks[-2].choices[0].finish_reason == "length"
    assert chunks[-1].usage.completion_tokens == 20
    assert chunks[-1].usage.model_extra["costInUSD"] > 0
    assert chunks[0].model.startswith(model.split("/")[1] + "-")
    assert raw.headers["x-tfy-resolved-model"] == model
    assert "server-timing" not in raw.headers
    (line,) = eventually(lambda: sandbox.journal("request", run_id="sdk", request_id=model))
    target = target_of(raw.headers)
    assert (line["trace_id"], line["root_span_id"]) == (target["traceId"], target["spanId"])
    assert line["trace_id"][12] == "7"
    assert line["events_sent"] == len(chunks) + 1
    assert (line["status"], line["outcome"]) == (200, "ok")


def test_the_journals_of_gateway_and_provider_agree_on_instants(sandbox):
    ask(sandbox, MODELS[0], "instants", stream=True)
    (line,) = eventually(lambda: sandbox.journal("request", request_id="instants"))
    (answer,) = eventually(
        lambda: [
            answer
            for answer in sandbox.journal("answer", provider="openai")
            if answer["received_mono_ns"] > line["received_mono_ns"]
        ]
    )
    order = [
        line["received_mono_ns"],
        answer["received_mono_ns"],
        answer["first_sent_mono_ns"],
        line["first_sent_mono_ns"],
        line["last_sent_mono_ns"],
        line["finished_mono_ns"],
    ]
    assert order == sorted(order)
    assert answer["chunks"] == 20
    assert answer["last_sent_mono_ns"] <= line["last_sent_mono_ns"]


def test_a_whole_answer_has_usage_cost_provider_and_timing(sandbox):
    reply = ask(sandbox, MODELS[1], "whole")
    document = reply.json()
    assert document["usage"]["completion_tokens"] == 20
    expected = document["usage"]["prompt_tokens"] * 3e-6 + 20 * 15e-6
    assert document["usage"]["costInUSD"] == pytest.approx(expected)
    assert document["provider"] == "anthropic"
    assert "model;dur=" in reply.headers["server-timing"]


def test_usage_is_withheld_from_streams_that_did_not_ask_for_it(sandbox):
    reply = ask(sandbox, MODELS[0], "no-usage", stream=True)
    assert "costInUSD" not in reply.text
    assert reply.text.endswith("data: [DONE]\n\n")


def test_a_wrong_key_is_refused_without_a_trace(sandbox):
    reply = httpx.post(
        f"{sandbox.url}/chat/completions", json={}, headers={"authorization": "Bearer nobody"}
    )
    assert reply.status_code == 401
    assert reply.json()["error_origin_level"] == "authentication"
    assert "x-tfy-feedback-target-id" not in reply.headers


def test_refusals_of_the_gateway_use_its_envelope(sandbox):
    unknown = ask(sandbox, "openai-main/gpt-9", "unknown")
    assert unknown.status_code == 403
    assert unknown.json()["error"]["type"] == "AuthorizationError"
    assert unknown.json()["error"]["code"] == "403"
    empty = ask(sandbox, MODELS[0], "empty", messages=[])
    assert empty.status_code == 400
    assert empty.json()["status"] == "failure"


def test_a_request_that_is_not_completed_is_a_499_without_a_trace(sandbox):
    host, port = sandbox.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as client:
        client.sendall(b"POST /chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 99\r\n\r\n{")
    (line,) = eventually(lambda: sandbox.journal("request", status=499, target=None))
    assert line["outcome"] == "client_closed"


def test_models_are_listed(sandbox):
    reply = httpx.get(f"{sandbox.url}/models", headers=sandbox.headers)
    assert {model["id"] for model in reply.json()["data"]} >= set(MODELS)
    assert set(reply.json()["data"][0]) == {"id", "object", "created", "owned_by"}


def test_a_deadline_for_the_first_token_turns_into_a_408(sandbox):
    reply = httpx.post(
        f"{sandbox.url}/chat/completions",
        json={"model": MODELS[0], "messages": QUESTION, "stream": True},
        headers={**sandbox.headers, "x-tfy-ttft-timeout-ms": "20"},
    )
    assert reply.status_code == 408
    assert reply.json()["provider"] == "openai"


def test_a_client_that_hangs_up_stops_the_provider(sandbox):
    body = {"model": MODELS[2], "messages": QUESTION, "stream": True}
    metadata = json.dumps({"request_id": "left"})
    with httpx.stream(
        "POST",
        f"{sandbox.url}/chat/completions",
        json=body,
        headers={**sandbox.headers, "x-tfy-metadata": metadata},
    ) as reply:
        next(reply.iter_raw())
    (line,) = eventually(lambda: sandbox.journal("request", request_id="left"))
    assert (line["status"], line["outcome"]) == (499, "client_closed")
    (answer,) = eventually(lambda: sandbox.journal("answer", provider="gemini", status=499))
    assert answer["chunks"] < 24


def test_provider_errors_pass_through_and_name_the_provider(faulty):
    assert faulty.set_faults("provider_errors:openai=1").json() == ["provider_errors:openai=1"]
    failed = ask(faulty, MODELS[0], "failing", stream=True)
    assert failed.status_code in {500, 503}
    document = failed.json()
    assert document["message"].startswith("openai error: ")
    assert (document["provider"], document["error_origin_level"]) == ("openai", "api_error")
    assert target_of(failed.headers)["traceId"]
    assert ask(faulty, MODELS[1], "fine").status_code == 200


def test_added_latency_comes_before_the_first_token(faulty):
    faulty.set_faults("provider_latency:gemini=700ms")
    ask(faulty, MODELS[2], "slow", stream=True)
    (line,) = eventually(lambda: faulty.journal("request", request_id="slow"))
    assert line["first_sent_mono_ns"] - line["received_mono_ns"] >= 700_000_000


def test_faults_are_guarded_and_a_misspelt_one_changes_nothing(faulty):
    assert httpx.put(f"{faulty.url}/sandbox/faults", json=[]).status_code == 401
    faulty.set_faults("trace_delay=1s")
    refused = faulty.set_faults("trace_lss=0.1")
    assert refused.status_code == 400
    assert "did you mean 'trace_loss'" in refused.json()["message"]
    now = httpx.get(f"{faulty.url}/sandbox/faults", headers=faulty.headers)
    assert now.json() == ["trace_delay=1s"]


def test_secrets_are_nobodys_arguments(sandbox):
    """The process list of a machine is readable by everybody on it."""
    env = sandbox.ready["env"]
    secrets = [env["TFY_API_KEY"], env["LAST9_OTLP_AUTH"], env["LAST9_REFRESH_TOKEN"]]
    for pid in [sandbox.process.pid, *sandbox.ready["pids"].values()]:
        arguments = Path(f"/proc/{pid}/cmdline").read_text()
        assert not [secret for secret in secrets if secret in arguments]
    assert (sandbox.directory / "endpoints.json").stat().st_mode & 0o077 == 0


def test_every_trace_reaches_last9_except_the_lost_ones(tmp_path):
    running = start(tmp_path, "--fault", "trace_loss=0.1", "--fault", "provider_silent:gemini")
    try:
        with ThreadPoolExecutor(10) as pool:
            replies = pool.map(
                lambda k: ask(running, MODELS[k % 3], f"t{k}", max_tokens=1), range(20)
            )
        assert {reply.status_code for reply in replies} == {200}
    finally:
        assert end(running) == 0
    dropped = {line["trace_id"] for line in running.journal("trace_dropped")}
    kept = [line for line in running.journal("request") if line["trace_id"] not in dropped]
    assert (len(dropped), len(kept)) == (2, 18)
    removed = 2 * sum(line["provider"] == "gemini" for line in kept)
    assert sum(line["spans"] for line in running.journal("spans_removed")) == removed
    exports = running.journal("export")
    assert {(line["ok"], line["status"]) for line in exports} == {(True, 200)}
    assert sum(line["spans"] for line in exports) == 3 * len(kept) - removed
    ingested = running.journal("ingest")
    assert sum(line["spans"] for line in ingested) == 3 * len(kept) - removed


def test_the_clients_trace_id_is_ignored_unless_the_switch_says_otherwise(sandbox, tmp_path):
    parent = {"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}
    body = {"model": MODELS[0], "messages": QUESTION, "max_tokens": 1}

    def trace_of(running):
        url = f"{running.url}/chat/completions"
        reply = httpx.post(url, json=body, headers={**running.headers, **parent})
        return target_of(reply.headers)["traceId"]

    assert trace_of(sandbox) != "4bf92f3577b34da6a3ce929d0e0e4736"
    honouring = start(tmp_path, "--gateway-option=--honour-traceparent")
    try:
        assert trace_of(honouring) == "4bf92f3577b34da6a3ce929d0e0e4736"
    finally:
        assert end(honouring) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGINT])
def test_no_process_outlives_the_supervisor(tmp_path, number):
    running = start(tmp_path)
    assert end(running, number) == (-signal.SIGKILL if number == signal.SIGKILL else 0)
    for pid in running.ready["pids"].values():
        eventually(lambda pid=pid: not is_alive(pid))


def test_a_process_that_dies_ends_the_sandbox_with_23(tmp_path):
    running = start(tmp_path)
    os.kill(running.ready["pids"]["last9"], signal.SIGKILL)
    died = json.loads(running.process.stdout.readline())
    assert died == {"event": "died", "process": "last9", "exit": -9}
    assert running.process.wait(timeout=20) == 23
    running.process.stdout.close()
    assert not [pid for pid in running.ready["pids"].values() if is_alive(pid)]


def test_the_sandbox_ends_with_its_starters_stdin_if_asked(tmp_path):
    process = subprocess.Popen(
        [*UP, "--dir", str(tmp_path), "--stdin-lifeline"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    process.stdout.readline()
    process.communicate(timeout=20)
    assert process.returncode == 0


def test_a_taken_port_is_named_with_exit_code_23(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = subprocess.run(
            [*UP, "--dir", str(tmp_path), "--port", str(port)],
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 23
    assert done.stderr.startswith(f"port {port} is in use on 127.0.0.1")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("options", [["--fault", "trace_los=0.1"], ["--no-such-flag"]])
def test_bad_usage_is_exit_code_24(tmp_path, options):
    done = subprocess.run(
        [*UP, "--dir", str(tmp_path), *options], capture_output=True, text=True, check=False
    )
    assert done.returncode == 24
    assert options[-1] in done.stderr


def test_a_part_started_alone_says_which_secret_it_lacks(tmp_path):
    part = [*UP[:-1], "providers", "--journal", str(tmp_path / "journal.ndjson")]
    done = subprocess.run(part, capture_output=True, text=True, check=False, env={})
    assert done.returncode == 24
    assert done.stderr.startswith("SANDBOX_API_KEY is not set")

"""One sandbox for the tests with the vendors' clients, and its journal."""

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import httpx

UP = [sys.executable, "-m", "tfy_last9.standins", "up"]
GPT = "openai-main/gpt-4o-mini"
THINKER = "openai-main/gpt-5-mini"
REASONER = "deepseek-main/deepseek-reasoner"
CLAUDE = "anthropic-main/claude-sonnet-4-6"
QUESTION = [{"role": "user", "content": "Why is the sky blue?"}]
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


@dataclass
class Sandbox:
    """A running sandbox as a client sees it."""

    process: subprocess.Popen
    ready: dict

    @property
    def url(self) -> str:
        return self.ready["env"]["TFY_GATEWAY_URL"]

    @property
    def key(self) -> str:
        return self.ready["env"]["TFY_API_KEY"]

    def headers(self, key: str | None = None, **metadata: str) -> dict[str, str]:
        bearer = {"authorization": f"Bearer {key or self.key}"}
        return bearer | ({"x-tfy-metadata": json.dumps(metadata)} if metadata else {})

    def post(self, path: str, body: dict, **more) -> httpx.Response:
        request_id = more.pop("request_id", "")
        headers = self.headers(request_id=request_id) | more.pop("headers", {})
        return httpx.post(f"{self.url}{path}", json=body, headers=headers, timeout=20, **more)

    def set_faults(self, *specs: str) -> None:
        reply = httpx.put(f"{self.url}/sandbox/faults", json=list(specs), headers=self.headers())
        assert reply.json() == list(specs)

    def journal(self, event: str, **fields) -> list[dict]:
        lines = map(json.loads, Path(self.ready["journal"]).read_text().splitlines())
        wanted = {"event": event, **fields}
        return [line for line in lines if wanted.items() <= line.items()]

    def request(self, request_id: str) -> dict:
        """Wait for what the gateway says of one request."""
        deadline = time.monotonic() + 10
        while not (found := self.journal("request", request_id=request_id)):
            assert time.monotonic() < deadline, f"{request_id} is not in the journal"
            time.sleep(0.02)
        return found[0]

    def stop(self) -> None:
        self.process.terminate()
        assert self.process.wait(timeout=20) == 0
        self.process.stdout.close()


def start(directory: Path, *options: str) -> Sandbox:
    process = subprocess.Popen(
        [*UP, "--dir", str(directory), *options], stdout=subprocess.PIPE, text=True
    )
    return Sandbox(process, json.loads(process.stdout.readline()))

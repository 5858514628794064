"""Locust users as people write them: what the product is compared with. One class per run, named on the command line.

Each reads the same short stream to its end, decodes every event, and takes the time to the first token.
"""

from __future__ import annotations

import os
import time
from typing import Any

import gevent
import openai
import orjson
from locust import FastHttpUser, User, events, task
from locust.env import Environment

GATEWAY = os.environ["TFY_GATEWAY_URL"]
MOST = int(os.environ["BENCH_REQUESTS"])
BODY = {
    "model": "acc/m",
    "messages": [{"role": "user", "content": "Hello"}],
    "stream": True,
    "stream_options": {"include_usage": True},
}
_left = {"requests": MOST}


def _count(environment: Environment) -> None:
    _left["requests"] -= 1
    if _left["requests"] == 0 and environment.runner is not None:
        gevent.spawn(environment.runner.quit)  # not from here: it would kill itself


@events.request.add_listener  # type: ignore[untyped-decorator]
def _failed(exception: BaseException | None, **_: Any) -> None:
    if exception is not None:
        raise SystemExit(f"a request of the benchmark failed: {exception}")


class FastLines(FastHttpUser):  # type: ignore[misc]
    """FastHttpUser, reading lines."""

    host = GATEWAY

    @task  # type: ignore[untyped-decorator]
    def chat(self) -> None:
        """Read one stream."""
        started = time.perf_counter()
        first = None
        with self.client.post(
            "/chat/completions", json=BODY, stream=True, catch_response=True, name="chat"
        ) as response:
            read_line = response._response.readline  # noqa: SLF001 - iter_lines delays lines
            while line := read_line(b"\n"):
                if line.startswith(b"data: {"):
                    chunk = orjson.loads(line[6:])
                    if first is None and chunk["choices"]:
                        first = time.perf_counter() - started
                elif line.startswith(b"data: [DONE]"):
                    break
            response.request_meta["response_time"] = (time.perf_counter() - started) * 1000
            response.success()
        _count(self.environment)


class OpenAiSdk(User):  # type: ignore[misc]
    """The openai SDK, one client per user."""

    def on_start(self) -> None:
        """Make the client."""
        self.client = openai.OpenAI(base_url=GATEWAY, api_key="key", max_retries=0)

    @task  # type: ignore[untyped-decorator]
    def chat(self) -> None:
        """Read one stream."""
        started = time.perf_counter()
        first = None
        stream = self.client.chat.completions.create(**BODY)  # type: ignore[call-overload]
        for chunk in stream:
            if first is None and chunk.choices and chunk.choices[0].delta.content:
                first = time.perf_counter() - started
        self.environment.events.request.fire(
            request_type="CHAT",
            name="chat",
            response_time=(time.perf_counter() - started) * 1000,
            response_length=0,
            exception=None,
            context={},
        )
        _count(self.environment)

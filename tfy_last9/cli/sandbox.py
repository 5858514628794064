"""Start and stop the embedded sandbox: a process tree of its own, ended with us whatever happens."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import orjson

from tfy_last9.errors import (
    BackendUnavailable,
    ConfigurationError,
    ExitCode,
    PortInUse,
    SandboxDied,
    TfyError,
)

READY_S = 30.0
STOP_S = 10.0


@dataclass(frozen=True, slots=True)
class SandboxRequest:
    """How to start the sandbox."""

    folder: Path
    """Journal and endpoints are written here."""
    port: int = 0
    """First of three consecutive ports; 0 lets the kernel choose."""
    faults: tuple[str, ...] = ()
    seed: int = 0
    env_file: Path | None = None
    data: Path | None = None
    """Where the Last9 stand-in keeps its spans; None: below `folder`."""
    tls: bool = False
    """Serve the Last9 API over https, with a certificate made for it."""
    gateway_config: Path | None = None
    """YAML file of the gateway's routes, limits, guardrails and export; None: the defaults."""
    last9_options: tuple[str, ...] = ()
    """Switches of the Last9 stand-in, as `--lag-ms=2000`."""
    gateway_options: tuple[str, ...] = ()
    """Switches of the gateway stand-in, as `--target-shape=nested`."""


class Sandbox:
    """A running sandbox; use it as a context manager."""

    def __init__(self, request: SandboxRequest) -> None:
        request.folder.mkdir(parents=True, exist_ok=True)
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            _command(request),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is ours to handle
            env=_clean_environment(),
        )
        self._events: queue.Queue[dict[str, Any]] = queue.Queue()
        self._stderr: list[str] = []
        self._readers = [
            threading.Thread(target=self._read_events, daemon=True),
            threading.Thread(target=self._read_stderr, daemon=True),
        ]
        for reader in self._readers:
            reader.start()
        try:
            ready = self._wait_until_ready()
        except BaseException:
            self.stop()
            raise
        self.environment: dict[str, str] = ready["env"]
        self.pids: dict[str, int] = ready["pids"]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def check(self) -> None:
        """Raise `SandboxDied` if a process of the sandbox ended although nobody stopped it."""
        while True:
            try:
                event = self._events.get_nowait()
            except queue.Empty:
                break
            if event.get("event") == "died":
                raise self._death(f"process {event['process']!r} of the sandbox", event["exit"])
        if self._process.poll() is not None:
            raise self._death("the sandbox", self._process.returncode)

    def wait(self) -> None:
        """Block until the sandbox ends."""
        while self._process.poll() is None:
            self.check()
            try:
                self._process.wait(timeout=0.5)
            except subprocess.TimeoutExpired:
                continue
        self.check()

    def stop(self) -> None:
        """End the whole tree, gently first."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(timeout=STOP_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        for reader in self._readers:
            reader.join(timeout=1)
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            if stream is not None:
                stream.close()

    def _wait_until_ready(self) -> dict[str, Any]:
        try:
            event = self._events.get(timeout=READY_S)
        except queue.Empty:
            raise BackendUnavailable(
                f"the sandbox was not ready after {READY_S:g} s", hint=self._last_words() or None
            ) from None
        if event.get("event") == "ready":
            return event
        self._process.wait(timeout=STOP_S)
        raise self._failure()

    def _death(self, who: str, code: int) -> SandboxDied:
        words = self._last_words()
        said = f"; it said: {words}" if words else ""
        return SandboxDied(f"{who} ended on its own (exit {code}){said}", hint="run the gate again")

    def _failure(self) -> TfyError:
        code, words = self._process.returncode, self._last_words() or "it said nothing"
        if code == ExitCode.CONFIGURATION:
            return ConfigurationError(words)
        if "in use" in words:
            return PortInUse(words)
        return SandboxDied(f"the sandbox could not start (exit {code}): {words}")

    def _last_words(self) -> str:
        self._readers[1].join(timeout=1 if self._process.poll() is not None else 0)
        return "\n".join(self._stderr[-5:])

    def _read_events(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            try:
                self._events.put(orjson.loads(line))
            except ValueError:
                self._stderr.append(line.decode("utf-8", "replace").rstrip())
        self._events.put({"event": "ended"})

    def _read_stderr(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self._stderr.append(line.decode("utf-8", "replace").rstrip())


def _command(request: SandboxRequest) -> Sequence[str]:
    command = [sys.executable, "-m", "tfy_last9.standins", "up", "--dir", str(request.folder)]
    command += ["--port", str(request.port), "--seed", str(request.seed), "--stdin-lifeline"]
    for fault in request.faults:
        command += ["--fault", fault]
    if request.env_file is not None:
        command += ["--env-file", str(request.env_file)]
    if request.data is not None:
        command += ["--data", str(request.data)]
    if request.tls:
        command.append("--tls")
    if request.gateway_config is not None:
        command += ["--gateway-config", str(request.gateway_config)]
    command += [f"--gateway-option={option}" for option in request.gateway_options]
    return command + [f"--last9-option={option}" for option in request.last9_options]


def _clean_environment() -> dict[str, str]:
    """Return our environment without real credentials: the sandbox must not even see them."""
    secret = ("TFY_", "LAST9_", "OTEL_")
    return {name: value for name, value in os.environ.items() if not name.startswith(secret)}

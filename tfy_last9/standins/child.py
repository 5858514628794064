"""One process of the sandbox as the supervisor sees it: start, readiness, end.

A child gets its secrets in the environment and the read end of a pipe as stdin (see lifeline.py). It
inherits no OTEL_* or proxy settings: what it does must not depend on the shell it was started from.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import orjson

from tfy_last9.standins import lifeline

READY_WITHIN_S = 30.0
STOP_WITHIN_S = 10.0
LOG_TAIL_LINES = 8


class ChildFailed(Exception):
    """A process ended or fell silent before it was ready."""

    def __init__(self, text: str, exit_code: int | None = None) -> None:
        super().__init__(text)
        self.exit_code = exit_code
        """What it ended with; None if it did not end."""


class Child:
    """A started process."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, log: Path) -> None:
        self.name = name
        self.process = process
        self._log = log
        self.ready: dict[str, str | int] = {}

    @classmethod
    async def start(
        cls, name: str, arguments: list[str], secrets: dict[str, str], directory: Path
    ) -> Child:
        """Start one part; its stderr goes to `<directory>/<name>.log`."""
        log = directory / f"{name}.log"
        # Of this start alone: what an earlier one said would mislead.
        with log.open("wb") as stderr:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "tfy_last9.standins",
                name,
                *arguments,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=stderr,
                env=_clean_environment() | secrets | {lifeline.SWITCH: "stdin"},
                # A Ctrl-C in the terminal goes to the supervisor alone, which stops them in order.
                start_new_session=True,
            )
        return cls(name, process, log)

    async def wait_until_ready(self) -> None:
        """Read the one line that says on which port the process answers; raises ChildFailed."""
        assert self.process.stdout is not None
        try:
            line = await asyncio.wait_for(self.process.stdout.readline(), READY_WITHIN_S)
        except TimeoutError:
            raise ChildFailed(f"{self.name} was not ready after {READY_WITHIN_S:g} s") from None
        if not line:
            exit_code = await self.process.wait()
            text = f"{self.name} ended with {exit_code} at start: {self._log_tail()}"
            raise ChildFailed(text, exit_code)
        self.ready = orjson.loads(line)

    @property
    def port(self) -> int:
        """The port it announced."""
        return int(self.ready["port"])

    def _log_tail(self) -> str:
        lines = self._log.read_text(errors="replace").strip().splitlines()
        return "\n".join(lines[-LOG_TAIL_LINES:]) or f"nothing in {self._log}"

    async def stop(self) -> None:
        """End it by SIGTERM, then by SIGKILL if it does not go."""
        if self.process.returncode is not None:
            return
        self.process.terminate()
        try:
            await asyncio.wait_for(self.process.wait(), STOP_WITHIN_S)
        except TimeoutError:
            self.process.kill()
            await self.process.wait()


def _clean_environment() -> dict[str, str]:
    def leaks(key: str) -> bool:
        return key.startswith("OTEL_") or key.lower().endswith("_proxy")

    return {key: value for key, value in os.environ.items() if not leaks(key)}

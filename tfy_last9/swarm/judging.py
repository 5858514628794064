"""A run that ended is judged by a child process without Locust; this follows how far it is."""

from __future__ import annotations

import logging
import subprocess
import sys
import time
from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import gevent
import orjson

from tfy_last9.adapters.runfolder.folder import RunFolder
from tfy_last9.errors import ExitCode

TOLD_EVERY_S = 5.0
"""Between two lines of progress in the terminal."""
MOST_LINES = 20
MOST_POINTS = 500
_log = logging.getLogger(__name__)


class Stage(StrEnum):
    """How far a run is on its way to a verdict."""

    SETTLING = "settling"
    JUDGED = "judged"
    UNJUDGED = "unjudged"
    """The child ended and left no verdict: `lines` say why."""


@dataclass(slots=True)
class Judging:
    """One `tfy-last9 check` child process."""

    folder: RunFolder
    stage: Stage = Stage.SETTLING
    exit_code: int | None = None
    verdict: dict[str, Any] | None = None
    """`verdict.json`, once it is there."""
    progress: dict[str, Any] = field(default_factory=dict)
    """The newest event about traces: expected, complete, elapsed_s, deadline_s."""
    course: list[tuple[float, int]] = field(default_factory=list)
    """Seconds after the last answer, and complete traces."""
    lines: deque[str] = field(default_factory=lambda: deque(maxlen=MOST_LINES))
    """What the child said."""
    _greenlet: Any = None
    _told_s: float = 0.0

    def start(self) -> None:
        """Begin; the web UI stays responsive."""
        self._greenlet = gevent.spawn(self._run)

    def wait(self) -> int | None:
        """Wait for the exit code."""
        if self._greenlet is not None:
            self._greenlet.join()
        return self.exit_code

    def _run(self) -> None:
        try:
            self.exit_code = self._check()
        except OSError as error:  # no process, no memory: nobody else would tell
            self.lines.append(f"the check could not be started: {error}")
            self.exit_code = int(ExitCode.ERROR)
        self.verdict = gevent.get_hub().threadpool.apply(_read_verdict, (self.folder,))
        self.stage = Stage.UNJUDGED if self.verdict is None else Stage.JUDGED
        _log.info("verdict of %s: exit code %s", self.folder.path.name, self.exit_code)

    def _check(self) -> int:
        command = [sys.executable, "-m", "tfy_last9", "check", str(self.folder.path), "--events"]
        with subprocess.Popen(command, stderr=subprocess.PIPE) as child:  # noqa: S603 - our own interpreter and module
            assert child.stderr is not None
            for line in child.stderr:
                self.take(line)
        return child.returncode

    def take(self, line: bytes) -> None:
        """Take a line of the child: an event, or plain words (its last ones, if it breaks off)."""
        try:
            event: dict[str, Any] = orjson.loads(line)
            text = str(event["text"])
        except (ValueError, KeyError, TypeError):
            event, text = {"kind": "say"}, line.decode(errors="replace").rstrip()
        if event["kind"] == "say":
            self.lines.append(text)
            self._tell(text)
            return
        if "complete" in event:
            self.progress = event
            self.course.append((event["elapsed_s"], event["complete"]))
            if len(self.course) > MOST_POINTS:
                self.course = self.course[::2]
        if time.monotonic() - self._told_s >= TOLD_EVERY_S:
            self._tell(text)

    def _tell(self, text: str) -> None:
        self._told_s = time.monotonic()
        sys.stderr.write(text + "\n")
        sys.stderr.flush()


def _read_verdict(folder: RunFolder) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = orjson.loads(folder.verdict_path.read_bytes())
    except (OSError, ValueError):
        return None
    return found

"""Everything that is printed goes through here: lines, and a view of what goes on.

A view is drawn on a terminal, told by a line every few seconds in a log, and sent as JSON lines to a parent
process that draws it itself.
"""

from __future__ import annotations

import os
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol, TextIO

import orjson
from rich.console import Console as Terminal
from rich.console import RenderableType
from rich.live import Live

from tfy_last9.errors import TfyError

LOG_EVERY_S = 5.0
"""Between two lines of progress where nothing can be rewritten, as in a CI log."""
FOLLOW_EVERY_S = 0.5


class View(Protocol):
    """Something that goes on, in three forms."""

    def line(self) -> str:
        """Return it in one line."""

    def document(self) -> dict[str, Any]:
        """Return its numbers."""

    def __rich__(self) -> RenderableType:
        """Return it as a drawing."""


@dataclass(slots=True)
class Console:
    """Progress to stderr, results to stdout: `gate ... > verdict.txt` keeps only the answer."""

    quiet: bool = False
    events: bool = False
    """Progress as JSON lines: `kind` (say, tick), `text`, and the numbers of a view."""
    _transient: bool = field(default=False, init=False)
    _told_s: float = field(default=0.0, init=False)
    _live: Live | None = field(default=None, init=False)
    _lock: Any = field(default_factory=threading.RLock, init=False)

    def say(self, line: str) -> None:
        """Print a line of progress."""
        with self._lock:
            if self.quiet:
                return
            self._told_s = time.monotonic()
            if self.events:
                _emit({"kind": "say", "text": line})
            elif self._live is not None:
                self._live.console.print(line, markup=False, highlight=False)
            else:
                self._clear()
                _print(line + "\n", sys.stderr)

    def tick(self, line: str) -> None:
        """Show how it goes: a line that the next one replaces, or one every few seconds in a log."""
        with self._lock:
            if self.quiet:
                return
            if self.events:
                _emit({"kind": "tick", "text": line})
            elif sys.stderr is None or not sys.stderr.isatty():
                if time.monotonic() - self._told_s >= LOG_EVERY_S:
                    self.say(line)
            else:
                self.hide()
                _print(f"\r\x1b[2K{fitting(line)}", sys.stderr)
                self._transient = True

    def show(self, view: View) -> None:
        """Show how it goes, in the form that fits: drawn until `hide`, a line, or an event."""
        with self._lock:
            if self.quiet:
                return
            if self.events:
                _emit({"kind": "tick", "text": view.line(), **view.document()})
            elif not _can_draw(sys.stderr):
                self.tick(view.line())
            else:
                if self._live is None:
                    self._clear()
                    self._live = _drawing()
                self._live.update(view, refresh=True)

    @contextmanager
    def following(self, view: View) -> Iterator[None]:
        """Keep showing a view that changes by itself, while the caller waits for something."""
        ended = threading.Event()

        def follow() -> None:
            while not ended.wait(FOLLOW_EVERY_S):
                self.show(view)

        thread = threading.Thread(target=follow, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
            self.hide()

    def hide(self) -> None:
        """Take away what is drawn."""
        with self._lock:
            if self._live is not None:
                self._live.stop()
                self._live = None

    def result(self, text: str) -> None:
        """Print an answer."""
        self._clear()
        _print(text + "\n", sys.stdout)

    def error(self, error: TfyError) -> None:
        """Print what went wrong and what to do."""
        self._clear()
        first, *rest = error.message.splitlines() or [""]
        lines = [f"error: {first}", *(f"       {line}" for line in rest)]
        lines += [f"  fix: {error.hint}"] if error.hint else []
        _print("".join(line + "\n" for line in lines), sys.stderr)

    def _clear(self) -> None:
        self.hide()
        if self._transient:
            _print("\r\x1b[2K", sys.stderr)
            self._transient = False


def fitting(line: str) -> str:
    """Return `line` cut to the terminal's width: only a line that does not wrap can be rewritten."""
    width = shutil.get_terminal_size().columns - 1
    return line if len(line) <= width else line[: max(width - 1, 0)] + "…"


def _can_draw(stream: TextIO | None) -> bool:
    """Tell whether a panel can be drawn: a terminal that moves its cursor and shows lines and bars."""
    if stream is None or not stream.isatty() or os.environ.get("TERM", "dumb") in {"dumb", ""}:
        return False
    return (stream.encoding or "").lower().replace("-", "") == "utf8"


def _drawing() -> Live:
    """Return a started drawing that vanishes when it is stopped, and redraws only when told to."""
    live = Live(
        console=Terminal(file=sys.stderr, highlight=False),
        auto_refresh=False,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )
    live.start()
    return live


def _emit(event: dict[str, Any]) -> None:
    _print(orjson.dumps(event).decode() + "\n", sys.stderr)


def _print(text: str, stream: TextIO | None) -> None:
    """Write text; a reader that left (`| head -1`, `>&-`) ends neither the run nor its exit code."""
    if stream is None:
        return
    encoding = stream.encoding or "utf-8"
    try:
        stream.write(text.encode(encoding, "replace").decode(encoding))
        stream.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())

"""Everything that is printed goes through here: plain lines, and one line that rewrites itself on a terminal."""

from __future__ import annotations

import os
import shutil
import sys
import time
from dataclasses import dataclass, field
from typing import TextIO

from tfy_last9.errors import TfyError

LOG_EVERY_S = 5.0
"""Between two lines of progress where nothing can be rewritten, as in a CI log."""


@dataclass(slots=True)
class Console:
    """Progress to stderr, results to stdout: `gate ... > verdict.txt` keeps only the answer."""

    quiet: bool = False
    _transient: bool = field(default=False, init=False)
    _told_s: float = field(default=0.0, init=False)

    def say(self, line: str) -> None:
        """Print a line of progress."""
        if not self.quiet:
            self._clear()
            self._told_s = time.monotonic()
            _print(line + "\n", sys.stderr)

    def tick(self, line: str) -> None:
        """Show how it goes: a line that the next one replaces, or one every few seconds in a log."""
        if self.quiet:
            return
        if sys.stderr is None or not sys.stderr.isatty():
            if time.monotonic() - self._told_s >= LOG_EVERY_S:
                self.say(line)
            return
        _print(f"\r\x1b[2K{fitting(line)}", sys.stderr)
        self._transient = True

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
        if self._transient:
            _print("\r\x1b[2K", sys.stderr)
            self._transient = False


def fitting(line: str) -> str:
    """Return `line` cut to the terminal's width: only a line that does not wrap can be rewritten."""
    width = shutil.get_terminal_size().columns - 1
    return line if len(line) <= width else line[: max(width - 1, 0)] + "…"


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

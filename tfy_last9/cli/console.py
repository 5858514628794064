"""Everything that is printed goes through here: plain lines, and one line that rewrites itself on a terminal."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field

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
            print(line, file=sys.stderr, flush=True)

    def tick(self, line: str) -> None:
        """Show how it goes: a line that the next one replaces, or one every few seconds in a log."""
        if self.quiet:
            return
        if not sys.stderr.isatty():
            if time.monotonic() - self._told_s >= LOG_EVERY_S:
                self.say(line)
            return
        print(f"\r\x1b[2K{line}", end="", file=sys.stderr, flush=True)
        self._transient = True

    def result(self, text: str) -> None:
        """Print an answer."""
        self._clear()
        print(text, flush=True)

    def error(self, error: TfyError) -> None:
        """Print what went wrong and what to do."""
        self._clear()
        first, *rest = error.message.splitlines() or [""]
        print(f"error: {first}", file=sys.stderr)
        for line in rest:
            print(f"       {line}", file=sys.stderr)
        if error.hint:
            print(f"  fix: {error.hint}", file=sys.stderr)
        sys.stderr.flush()

    def _clear(self) -> None:
        if self._transient:
            print("\r\x1b[2K", end="", file=sys.stderr, flush=True)
            self._transient = False

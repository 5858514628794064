"""Everything that is printed goes through here: plain lines, and one line that rewrites itself on a terminal."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field

from tfy_last9.errors import TfyError


@dataclass(slots=True)
class Console:
    """Progress to stderr, results to stdout: `gate ... > verdict.txt` keeps only the answer."""

    quiet: bool = False
    _transient: bool = field(default=False, init=False)

    def say(self, line: str) -> None:
        """Print a line of progress."""
        if not self.quiet:
            self._clear()
            print(line, file=sys.stderr, flush=True)

    def tick(self, line: str) -> None:
        """Show a line that the next one replaces; on something that is not a terminal, nothing."""
        if self.quiet or not sys.stderr.isatty():
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

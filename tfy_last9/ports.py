"""What the use cases in `app/` need from the world, as small protocols."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tfy_last9.model.run import Window
    from tfy_last9.model.trace import Span


class Clock(Protocol):
    """Wall clock and waiting, so that settling can be tested without either."""

    def now_ns(self) -> int:
        """Return the UTC instant in nanoseconds."""

    def sleep(self, seconds: float) -> None:
        """Wait."""


@dataclass(frozen=True, slots=True)
class Page:
    """The answer to one look at Last9."""

    window: Window
    """Span start times that the look covered."""
    asked_ns: int
    """UTC instant at which the (first) query of the look was sent."""
    roots_only: bool
    spans: Sequence[Span]
    truncated: tuple[Window, ...]
    """Slices whose answer was full even at the smallest slice."""
    problems: tuple[str, ...] = ()
    """Rows that could not be read, one line each: the evidence cannot be trusted."""


class TraceSource(Protocol):
    """Where spans are read from."""

    def roots(self, run_id: str, window: Window) -> Page:
        """Return the root spans that carry the run id."""

    def run(self, run_id: str, window: Window, trace_ids: Sequence[str]) -> Iterator[Page]:
        """Yield everything of a run, piece by piece; `trace_ids` are those the ledger names."""

    def again(self, run_id: str, window: Window, left: Outstanding) -> Iterator[Page]:
        """Yield what may have arrived of the outstanding traces."""

    def trace(self, trace_id: str, window: Window) -> Sequence[Span]:
        """Return all spans of one trace; empty when it is unknown."""


@dataclass(frozen=True, slots=True)
class Outstanding:
    """What is still missing from the evidence."""

    expected: int
    complete: int
    windows: tuple[Window, ...]
    """Where the missing spans should have started: few, merged, padded."""
    trace_ids: tuple[str, ...]
    """Traces that the ledger names and the evidence does not show completely (at most 500)."""


class EvidenceBook(Protocol):
    """Where fetched spans are kept and compared with the ledger."""

    def add(self, page: Page) -> None:
        """Keep the spans that are new; remember when each was first seen and last not seen."""

    def outstanding(self) -> Outstanding:
        """Compare with the ledger. Needs the sealed ledger."""

    def trace_ids(self) -> Sequence[str]:
        """Return the ids of all traces that the ledger names. Needs the sealed ledger."""

"""How much there is to read, asked before reading: three counts, each over the whole window.

A gateway may be shared. Where the run is most of the traffic, whole windows cost the fewest queries; where
others send more, the run's traces are asked for by id, so that their spans are never fetched.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from tfy_last9.adapters.last9.client import Last9Client
from tfy_last9.errors import BackendUnavailable
from tfy_last9.model.run import Window
from tfy_last9.wire.last9 import UnreadableAnswer
from tfy_last9.wire.last9_aggregates import read_count
from tfy_last9.wire.last9_pipeline import Pipeline
from tfy_last9.wire.last9_queries import COUNT, counted, roots_counted, spans_of_service

SPANS_PER_TRACE = 3
"""Root, Model and HTTP span: what a plain chat leaves."""
_MOST_FOREIGN = 2.0
"""Windows are read whole while they hold at most so many times the run's own spans."""


class Reach(StrEnum):
    """How the spans of a run are reached."""

    WINDOW = "window"
    """Every span of the gateway in the time of the run."""
    TRACES = "traces"
    """Roots by run id, then the spans of their traces by id."""


@dataclass(frozen=True, slots=True)
class Survey:
    """What the counts said; None where Last9 did not answer them."""

    reach: Reach
    spans: int | None
    """Spans of the gateway in the window, whoever sent the request."""
    requests: int | None
    """Requests at the gateway in the window, whoever sent them."""
    own_requests: int | None
    """Those that carry the run id."""

    @property
    def rows(self) -> int:
        """Return how many spans reading them one by one would fetch; 0 when that is not known."""
        if self.reach is Reach.TRACES:
            return (SPANS_PER_TRACE + 1) * (self.own_requests or 0)
        return self.spans or 0

    @property
    def is_exclusive(self) -> bool:
        """Tell whether every request at the gateway belongs to the run: only then may Last9 count."""
        return self.own_requests is not None and 0 < self.own_requests == self.requests


def survey(
    client: Last9Client, service: str, run_id: str, window: Window, traces: int, limit: int
) -> Survey:
    """Count and choose. Last9 is never asked for parts of a count: a sum of windows may count twice."""

    def ask(pipeline: Pipeline) -> int | None:
        start_s, end_s = window.start_ns // 10**9, -(-window.end_ns // 10**9)
        try:
            return read_count(client.query(pipeline.document(), start_s, end_s, limit), COUNT)
        except (BackendUnavailable, UnreadableAnswer):
            return None

    spans = ask(counted(spans_of_service(service)))
    own = max(traces, 1) * SPANS_PER_TRACE
    if spans is None or spans <= _MOST_FOREIGN * own + limit:
        reach = Reach.WINDOW
        if spans is None or spans <= limit:
            return Survey(reach, spans, None, None)
    else:
        reach = Reach.TRACES
    return Survey(
        reach, spans, ask(roots_counted(service, None)), ask(roots_counted(service, run_id))
    )

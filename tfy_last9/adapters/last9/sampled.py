"""The traces of a sample: looked up by id, many at a time, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from tfy_last9.adapters.last9.source import Last9Source
from tfy_last9.model.run import Window
from tfy_last9.model.trace import Span
from tfy_last9.ports import Outstanding, Page


class SampledSource:
    """A `TraceSource` over the traces that the book asks for.

    `unnamed` returns the request ids of sampled requests whose response named no trace.
    """

    def __init__(self, source: Last9Source, unnamed: Callable[[], Sequence[str]]) -> None:
        self._source = source
        self._unnamed = unnamed

    def roots(self, run_id: str, window: Window) -> Page:
        """Return the root spans that carry the run id."""
        return self._source.roots(run_id, window)

    def run(self, run_id: str, window: Window, trace_ids: Sequence[str]) -> Iterator[Page]:
        """Yield the spans of the sampled traces."""
        del run_id  # the sample names its traces
        found: set[str] = set()
        for page in self._source.requests(self._unnamed(), window):
            found.update(span.trace_id for span in page.spans)
            yield page
        yield from self._source.traces(sorted({*trace_ids, *found}), window)

    def again(self, run_id: str, window: Window, left: Outstanding) -> Iterator[Page]:
        """Yield what may have arrived of the outstanding traces."""
        yield from self.run(run_id, window, left.trace_ids)

    def trace(self, trace_id: str, window: Window) -> Sequence[Span]:
        """Return all spans of one trace; empty when it is unknown."""
        return self._source.trace(trace_id, window)

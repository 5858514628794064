"""One stored span, as the decoder makes it and the store keeps it."""

from __future__ import annotations

from typing import NamedTuple


class SpanRow(NamedTuple):
    """One stored span: columns to filter by, and the JSON it is answered as."""

    trace_id: str
    span_id: str
    parent_span_id: str
    name: str
    kind: str
    service: str
    status_code: str
    start_ns: int
    duration_ns: int
    doc: str
    """The span object of a query answer."""
    details: str
    """Events and links, which only the answer for one trace shows."""

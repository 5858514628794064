"""Names that must not be mixed up: thin types over `str`."""

from __future__ import annotations

from typing import NewType

RunId = NewType("RunId", str)
RequestId = NewType("RequestId", str)
"""`<run id>.<sequence number>`; rides in `x-tfy-metadata` and comes back on the root span."""
TraceId = NewType("TraceId", str)
"""32 lower-case hex digits."""
SpanId = NewType("SpanId", str)
"""16 lower-case hex digits."""
ProviderName = NewType("ProviderName", str)
"""Canonical provider, see `tfy_last9.model.provider`."""

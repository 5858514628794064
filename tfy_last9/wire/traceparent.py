"""W3C Trace Context: the `traceparent` header, version 00. https://www.w3.org/TR/trace-context/."""

from __future__ import annotations

from hashlib import blake2b


def trace_ids(request_id: str) -> tuple[str, str]:
    """Return a trace id (32 hex) and span id (16 hex) derived from the request id: the same every time."""
    digest = blake2b(request_id.encode(), digest_size=24).hexdigest()
    return digest[:32], digest[32:]


def traceparent(trace_id: str, span_id: str) -> str:
    """Return the header value, with the sampled flag set."""
    return f"00-{trace_id}-{span_id}-01"

"""Trace and span ids as the gateway mints them.

Every trace id seen from the real gateway has the layout of a version 7 UUID (RFC 9562 section 5.7):
48 bits of Unix milliseconds, then the version, then random bits around the variant.
"""

from __future__ import annotations

import random
import re

RANDOM = random.SystemRandom()
VERSION_7 = 0x7 << 76
VARIANT = 0b10 << 62
TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}")


def trace_id(wall_ns: int) -> int:
    """Mint a UUIDv7-shaped trace id for an instant."""
    milliseconds = wall_ns // 1_000_000
    return (
        (milliseconds & (2**48 - 1)) << 80
        | VERSION_7
        | RANDOM.getrandbits(12) << 64
        | VARIANT
        | RANDOM.getrandbits(62)
    )


def span_id() -> int:
    """Mint a span id; never zero, which OpenTelemetry reserves for "none"."""
    return RANDOM.randrange(1, 2**64)


def read_traceparent(text: str | None) -> tuple[int, int] | None:
    """Return (trace id, parent span id) of a W3C traceparent, or None if it is not a valid one."""
    match = TRACEPARENT.fullmatch(text or "")
    if match is None:
        return None
    ids = int(match[1], 16), int(match[2], 16)
    return ids if all(ids) else None

"""What requests to a target cost."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Price:
    """USD; tokens by the million, as price lists name them."""

    input_usd_per_mtok: float = 0.0
    output_usd_per_mtok: float = 0.0
    request_usd: float = 0.0
    """Per request or tool call, whatever its tokens."""

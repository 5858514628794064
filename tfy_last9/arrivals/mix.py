"""Which target an arrival goes to: exact by schedule, in an order that is random but seeded.

Weights are reduced to the smallest block that holds each target exactly as often as its share says
(40/35/25 becomes 8/7/5); each block is shuffled. So the mix is exact after every block, and no target's
arrivals are evenly spaced.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import repeat
from math import gcd
from random import Random


def block(weights: Sequence[int]) -> tuple[int, ...]:
    """Return the smallest block: target index, repeated as often as its reduced weight."""
    divisor = gcd(*weights)
    return tuple(index for index, weight in enumerate(weights) for _ in range(weight // divisor))


def mixed(weights: Sequence[int], random: Random) -> Iterator[int]:
    """Yield target indices for ever."""
    ordered = block(weights)
    if len(ordered) == 1:
        yield from repeat(ordered[0])
    while True:
        yield from random.sample(ordered, len(ordered))

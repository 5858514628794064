"""Percentiles of numbers that keep coming: exact, and cheap to ask for at any time.

Values are kept in buckets of at most 1.6 % width, so that one percentile sorts one bucket and not
everything. The buckets alone are a histogram that is good enough to draw.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping

from tfy_last9.stats.quantile import nearest_rank

_BITS = 7
"""Significant bits of a bucket: values of one bucket differ by less than 1 in 64."""
_BELOW_ZERO = -1


def bucket_of(value: int) -> int:
    """Return the bucket of a value; buckets are in the order of their values."""
    if value < 0:
        return _BELOW_ZERO
    shift = max(0, value.bit_length() - _BITS)
    return (shift << _BITS) | (value >> shift)


def middle_of(bucket: int) -> int:
    """Return the value in the middle of a bucket, at most 0.8 % away from any value in it."""
    if bucket == _BELOW_ZERO:
        return 0
    shift, top = bucket >> _BITS, bucket & ((1 << _BITS) - 1)
    return (top << shift) + ((1 << shift) >> 1)


def drawn_quantile(counts: Mapping[int, int], p: float) -> int | None:
    """Return the p-quantile of counts per bucket, to the width of a bucket; None without any."""
    total = sum(counts.values())
    if total == 0:
        return None
    rank = nearest_rank(total, p)
    for bucket in sorted(counts):
        rank -= counts[bucket]
        if rank <= 0:
            return middle_of(bucket)
    raise AssertionError("ranks end at the total")


class ExactQuantiles:
    """A growing sample of whole numbers; eight bytes a value."""

    def __init__(self) -> None:
        self._buckets: dict[int, array[int]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, value: int) -> None:
        """Take one value."""
        bucket = bucket_of(value)
        if bucket not in self._buckets:
            self._buckets[bucket] = array("q")
        self._buckets[bucket].append(value)
        self._count += 1

    def at_rank(self, rank: int) -> int:
        """Return the value of a 1-based rank, from the smallest."""
        if not 1 <= rank <= self._count:
            raise ValueError(f"there is no rank {rank} among {self._count} values")
        for bucket in sorted(self._buckets):
            values = self._buckets[bucket]
            if rank <= len(values):
                return sorted(values)[rank - 1]
            rank -= len(values)
        raise AssertionError("ranks end at the count")

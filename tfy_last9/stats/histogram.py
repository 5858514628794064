"""Counts of durations in buckets that grow with the value: mergeable, small, and exact about its error.

Log-linear, as HdrHistogram's (hdrhistogram.org, "Design"): values below 64 have a bucket each; from there
every power of two is cut into 32 equal buckets, so that a bucket is at most 1/32 of its lower end wide.
Merging adds counts, in any order, with the same result.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from math import ceil

_BITS = 6
_HALF = 1 << (_BITS - 1)
Buckets = list[tuple[int, int]]
"""Pairs of bucket and count, ascending."""


def bucket_of(value: int) -> int:
    """Return the bucket of a value; negative ones count as 0."""
    if value < 1 << _BITS:
        return max(value, 0)
    shift = value.bit_length() - _BITS
    return shift * _HALF + (value >> shift)


def bounds(bucket: int) -> tuple[int, int]:
    """Return the least and the greatest value of a bucket."""
    if bucket < 1 << _BITS:
        return bucket, bucket
    shift = bucket // _HALF - 1
    low = (bucket - shift * _HALF) << shift
    return low, low + (1 << shift) - 1


class Histogram:
    """Counts of whole numbers from 0 up."""

    __slots__ = ("_counts",)

    def __init__(self, buckets: Iterable[tuple[int, int]] = ()) -> None:
        self._counts: defaultdict[int, int] = defaultdict(int)
        for bucket, count in buckets:
            self._counts[bucket] += count

    def add(self, value: int, count: int = 1) -> None:
        """Count a value `count` times."""
        self._counts[bucket_of(value)] += count

    def merge(self, other: Histogram) -> None:
        """Add another one's counts."""
        for bucket, count in other._counts.items():
            self._counts[bucket] += count

    def total(self) -> int:
        """Return how many values were counted."""
        return sum(self._counts.values())

    def buckets(self) -> Buckets:
        """Return the counts."""
        return sorted(self._counts.items())

    def take(self) -> Buckets:
        """Return the counts, and begin anew."""
        taken = self.buckets()
        self._counts.clear()
        return taken

    def quantile(self, share: float) -> tuple[int, int] | None:
        """Return bounds of the smallest value that at least `share` of all do not exceed; None without values."""
        rank, seen = max(1, ceil(share * self.total())), 0
        for bucket, count in self.buckets():
            seen += count
            if seen >= rank:
                return bounds(bucket)
        return None

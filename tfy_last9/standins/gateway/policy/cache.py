"""The exact-match cache: the same body under the same namespace and subject gets the same answer."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import orjson

DEFAULT_TTL_S = 600.0
MOST_ENTRIES = 10_000
EXACT, SEMANTIC = "exact-match", "semantic"
KINDS = (EXACT, SEMANTIC)
DEFAULT_THRESHOLD = 0.9
"""Of similarity; the documented one is not on record."""


@dataclass(frozen=True, slots=True)
class CacheConfig:
    """`x-tfy-cache-config`."""

    kind: str
    ttl_s: float
    namespace: str = ""
    threshold: float = DEFAULT_THRESHOLD
    """From 0 to 1: how alike a question has to be; for semantic lookups."""

    @classmethod
    def parse(cls, text: str) -> CacheConfig:
        """Read the header; raises ValueError with what is wrong."""
        try:
            given = orjson.loads(text)
        except orjson.JSONDecodeError:
            given = None
        if not isinstance(given, dict) or given.get("type") not in KINDS:
            raise ValueError(f"must be a JSON object with a type, one of {', '.join(KINDS)}")
        ttl_s = given.get("ttl", DEFAULT_TTL_S)
        if isinstance(ttl_s, bool) or not isinstance(ttl_s, (int, float)) or ttl_s <= 0:
            raise ValueError("ttl must be a positive number of seconds")
        threshold = given.get("similarity_threshold", DEFAULT_THRESHOLD)
        is_number = isinstance(threshold, (int, float)) and not isinstance(threshold, bool)
        if not is_number or not 0 <= threshold <= 1:
            raise ValueError("similarity_threshold must be a number from 0 to 1")
        return cls(given["type"], ttl_s, str(given.get("namespace", "")), threshold)

    def key(self, subject: str, path: str, body: dict[str, Any]) -> str:
        """Name a request; the order of fields does not matter."""
        plain = orjson.dumps([self.namespace, subject, path, body], option=orjson.OPT_SORT_KEYS)
        return hashlib.blake2b(plain, digest_size=16).hexdigest()


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer and the trace it was made in."""

    trace_id: str
    content: Any
    """Whatever the caller stored."""


class Cache:
    """Answers by key, the least recently stored leave first."""

    def __init__(self, most: int = MOST_ENTRIES) -> None:
        self._most = most
        self._kept: OrderedDict[str, tuple[float, Kept]] = OrderedDict()

    def find(self, key: str, now_s: float) -> Kept | None:
        """Give an answer that has not expired."""
        expires_s, kept = self._kept.get(key, (now_s, None))
        if expires_s <= now_s:
            self._kept.pop(key, None)
            return None
        return kept

    def store(self, key: str, kept: Kept, ttl_s: float, now_s: float) -> None:
        """Keep an answer."""
        self._kept[key] = (now_s + ttl_s, kept)
        self._kept.move_to_end(key)
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)

"""Tokens that need no decoding: stream events that differ from the one before in a single JSON string.

Two events of one stream usually share every byte but the text of the token. Once an event was decoded,
the next ones are compared with its text before and after that string. What matches byte for byte, around
a valid and non-empty JSON string (RFC 8259, section 7), decodes to the same document with another string
in that place, so that decoding it could teach nothing new. Everything else has to be decoded.

A second string may vary: OpenAI pads its chunks with `obfuscation` (API reference, "Streaming"), which no fact is read from.
"""

from __future__ import annotations

import re
from functools import cache

_SEPARATOR = b"\n\n"
_PADDING = b"obfuscation"
_OPENING = b"data: "
_NOT_PLAIN = bytes(range(0x20)) + b'"\\'
_ESCAPED = re.compile(rb'(?:[^"\\\x00-\x1f]|\\["\\/bfnrt]|\\u(?![dD][89a-fA-F])[0-9a-fA-F]{4})+')
"""The inside of a JSON string, but for surrogates: whether those pair up is the decoder's to say."""


class Skeleton:
    """The text of one event around the string that varies."""

    __slots__ = ("_after", "_before", "_tail")

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Match nothing."""
        self._before = self._after = self._tail = b""
        """`_tail` is what follows the padding, empty where events have none."""

    def __bool__(self) -> bool:
        """Tell whether anything can match."""
        return self._before != b""

    def behind(self, head: bytes) -> Skeleton:
        """Return the skeleton of events that have `head` before the text this one was learnt from."""
        made = Skeleton()
        made._copy(self, head)
        return made

    def _copy(self, other: Skeleton, head: bytes) -> None:
        self._before = _OPENING + head + other._before[len(_OPENING) :]
        self._after, self._tail = other._after, other._tail

    def learn(self, data: bytes, key: bytes) -> None:
        """Take an event whose only member called `key` is a string; forget if that is not certain."""
        name, member = _member(key)
        found = member.search(data) if data.count(name) == 1 and b"\n" not in data else None
        if found is None:
            self.forget()
            return
        before, after = data[: found.start(1)], data[found.end(1) :]
        if b"\\" in before or b"\\" in after:  # a key could be hidden behind an escape
            self.forget()
            return
        self._before = _OPENING + before
        name, member = _member(_PADDING)
        padding = member.search(after) if data.count(name) == 1 else None
        if padding is None:
            self._after, self._tail = after + _SEPARATOR, b""
        else:
            self._after = after[: padding.start(1)]
            self._tail = after[padding.end(1) :] + _SEPARATOR

    def run(self, block: bytes, start: int) -> tuple[int, int]:
        """Return where the matching events at `start` end, and how many there are.

        At `start` an event must begin; only whole events count.
        """
        before, after = self._before, self._after
        if not before or not block.startswith(before, start):
            return start, 0
        if self._tail:
            return self._run_padded(block, start)
        first = start + len(before)
        end = block.find(after, first)
        if end < 0:
            return start, 0
        stop = end + len(after)
        if not block.startswith(before, stop):
            return (stop, 1) if is_text(block[first:end]) else (start, 0)
        # Splitting at the shorter of the two literals is what is quick here.
        *parts, rest = block[start:].split(after)
        texts = [part.removeprefix(before) for part in parts]
        joined, count, end = b" ".join(texts), len(parts), len(block) - len(rest)
        own = len(joined) - (count - 1)
        had_prefix = own + count * (len(before) + len(after)) == end - start
        if had_prefix and all(texts) and is_text(joined):
            return end, count
        return self._run_singly(parts, start)

    def _run_singly(self, parts: list[bytes], start: int) -> tuple[int, int]:
        """Count the matching ones at the beginning of events without their ends."""
        count = 0
        for part in parts:
            if not part.startswith(self._before) or not is_text(part[len(self._before) :]):
                break
            start, count = start + len(part) + len(self._after), count + 1
        return start, count

    def _run_padded(self, block: bytes, start: int) -> tuple[int, int]:
        count = 0
        while block.startswith(self._before, start):
            first = start + len(self._before)
            end = block.find(self._after, first)
            padding = end + len(self._after)
            stop = block.find(self._tail, padding)
            if end < 0 or stop < 0 or not is_text(block[first:end]):
                break
            if stop > padding and not is_text(block[padding:stop]):
                break
            start, count = stop + len(self._tail), count + 1
        return start, count


def is_text(inside: bytes) -> bool:
    """Tell whether bytes are certain to be the inside of a JSON string that is not empty."""
    if len(inside.translate(None, _NOT_PLAIN)) != len(inside) and not _ESCAPED.fullmatch(inside):
        return False
    if inside.isascii():
        return inside != b""
    try:
        inside.decode()
    except UnicodeDecodeError:
        return False
    return True


@cache
def _member(key: bytes) -> tuple[bytes, re.Pattern[bytes]]:
    """Return a key in quotes, and a pattern of the member with a string as its value."""
    name = b'"' + key + b'"'
    return name, re.compile(re.escape(name) + rb': ?"((?:[^"\\]|\\.)*+)"')

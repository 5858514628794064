"""Server-sent events from bytes, split anywhere. No sockets, no JSON.

Source: WHATWG HTML, section 9.2.6 "Interpreting an event stream". Two departures, both of use to a client
that measures: comment lines are counted (they are signs of life), and an event that is cut off by the end
of the stream is reported instead of dropped in silence.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple, Protocol

FRAME = len(b"data: \n\n")
"""Bytes of the usual event besides its data."""
_LINE_END = re.compile(rb"\r\n|\n|\r")


class ServerEvent(NamedTuple):
    """One dispatched event."""

    name: str
    """`message` unless the stream named it."""
    data: bytes


class SseParser:
    """Incremental parser: feed bytes, get the events that they complete."""

    __slots__ = ("_buffer", "_data", "_name", "_started", "comments")

    def __init__(self) -> None:
        self._buffer = b""
        self._data: list[bytes] = []
        self._name = ""
        self._started = False
        self.comments = 0
        """Comment lines seen so far."""

    def feed(self, chunk: bytes) -> list[ServerEvent]:
        """Return the events that `chunk` completes, in order."""
        buffer = self._buffer + chunk if self._buffer else chunk
        if not self._started:
            if len(buffer) < len(b"\xef\xbb\xbf") and b"\xef\xbb\xbf".startswith(buffer):
                self._buffer = buffer
                return []
            self._started = True
            buffer = buffer.removeprefix(b"\xef\xbb\xbf")
        if buffer.endswith(b"\r"):  # the other half of a CRLF may be on its way
            buffer, held = buffer[:-1], b"\r"
        else:
            held = b""
        *lines, rest = _LINE_END.split(buffer) if b"\r" in buffer else buffer.split(b"\n")
        self._buffer = rest + held
        events: list[ServerEvent] = []
        for line in lines:
            self._take(line, events)
        return events

    def begin(self) -> None:
        """Say that the stream has begun: an event was taken without `feed`, so no byte order mark can follow."""
        self._started = True

    def is_between_events(self) -> bool:
        """Tell whether the next byte begins an event."""
        return not (self._buffer or self._data or self._name)

    def whole_event(self, body: bytes, start: int) -> bytes | None:
        """Return the data of the event at `start` if it is just `data: ...` and a blank line: the usual.

        Only where an event begins; None: `feed` has to look at it. It ends `FRAME` bytes after its data.
        """
        end = body.find(b"\n\n", start)
        if end < 0 or not body.startswith(b"data: ", start):
            return None
        data = body[start + 6 : end]
        if b"\n" in data or b"\r" in data:
            return None
        self._started = True
        return data

    def cut_off(self) -> bytes:
        """Return what was received of an event that never ended; empty after a clean end."""
        pending = b"\n".join(self._data)
        return pending + self._buffer.strip(b"\r\n")

    def _take(self, line: bytes, events: list[ServerEvent]) -> None:
        if not line:
            if self._data:
                events.append(ServerEvent(self._name or "message", b"\n".join(self._data)))
                self._data = []
            self._name = ""
            return
        field, separator, value = line.partition(b":")
        if not field and separator:
            self.comments += 1
            return
        value = value.removeprefix(b" ")
        if field == b"data":
            self._data.append(value)
        elif field == b"event":
            self._name = value.decode("utf-8", "replace")


class StreamFacts(Protocol):
    """What reads the events of one API. It may offer `skim` (see `EventReader`)."""

    def take_event(self, data: bytes, at_ns: int) -> None:
        """Take the data of one event that arrived at `at_ns`."""


class EventReader:
    """Reads a stream's body into facts, event by event, or many at once where the facts know how.

    Facts with a method `skim(block, start, at_ns) -> end` are asked first wherever an event begins: they
    take whole events that they can read without decoding and say where those end, `start` if there are
    none. The facts must come out the same as by `take_event`.
    """

    __slots__ = ("_facts", "_parser", "_skim")

    def __init__(self, facts: StreamFacts) -> None:
        self._facts = facts
        self._parser = SseParser()
        self._skim: Callable[[bytes, int, int], int] | None = getattr(facts, "skim", None)

    def feed(self, body: bytes, at_ns: int) -> None:
        """Take a piece of the body that arrived at `at_ns`."""
        place, size = 0, len(body)
        parser, skim, take = self._parser, self._skim, self._facts.take_event
        while place < size:
            if parser.is_between_events():
                if skim is not None and (end := skim(body, place, at_ns)) != place:
                    parser.begin()
                    place = end
                    continue
                data = parser.whole_event(body, place)
                if data is not None:
                    place += len(data) + FRAME
                    take(data, at_ns)
                    continue
            found = body.find(b"\n\n", place)
            end = size if found < 0 else found + 2
            for event in parser.feed(body[place:end]):
                take(event.data, at_ns)
            place = end

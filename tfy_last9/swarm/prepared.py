"""Requests whose bytes are made once: of one shape they differ in a few ids, which are put in place."""

from __future__ import annotations

import re
from collections.abc import Callable

from tfy_last9.swarm.call import Call, Shape

MOST_SHAPES = 4096
"""Shapes remembered. Scenarios have as many as targets, phases, prompts and arms make; this bounds memory."""
Build = Callable[[Call], bytes]
"""Makes the bytes of any call. Raises TypeError or ValueError for one that cannot be sent."""


class PreparedRequests:
    """The bytes of calls, by shape where a shape allows it."""

    def __init__(self, build: Build) -> None:
        self._build = build
        self._known: dict[Shape, tuple[list[bytes], tuple[int, ...]] | None] = {}

    def request(self, call: Call) -> bytes:
        """Return what `build` returns for this call."""
        shape = call.shape
        if shape is None:
            return self._build(call)
        prepared = self._known[shape] if shape in self._known else self._prepare(call, shape)
        if prepared is None:
            return self._build(call)
        pieces, order = prepared
        ids = call.ids
        pieces[1::2] = [ids[which].encode() for which in order]
        return b"".join(pieces)

    def _prepare(self, call: Call, shape: Shape) -> tuple[list[bytes], tuple[int, ...]] | None:
        """Cut the example at its marks; None if putting in this call's ids does not give its own bytes.

        A mark in the body must be as long as the id, since the head says how long the body is.
        """
        if len(self._known) >= MOST_SHAPES:
            self._known.clear()
        example = self._build(shape.example)
        marks = [mark.encode() for mark in shape.marks]
        pieces = re.split(b"(" + b"|".join(map(re.escape, marks)) + b")", example)
        order = tuple(marks.index(mark) for mark in pieces[1::2])
        body = example.partition(b"\r\n\r\n")[2]
        fixed = all(
            len(own) == len(mark)
            for own, mark in zip(call.ids, shape.marks, strict=True)
            if mark.encode() in body
        )
        self._known[shape] = (pieces, order) if fixed else None
        if fixed and self.request(call) != self._build(call):
            self._known[shape] = None
        return self._known[shape]

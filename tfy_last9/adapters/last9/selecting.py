"""Span queries with their content deselected, as long as Last9 plays along.

How Last9 answers `select` is not documented. The first answer that ignores it, refuses it or lacks what
judging needs ends its use for good; contents are then dropped here instead, and the evidence says so.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable

from tfy_last9.adapters.last9.client import Last9Client, QueryRefused
from tfy_last9.wire.last9_pipeline import Pipeline
from tfy_last9.wire.last9_selection import Selection, Shape
from tfy_last9.wire.spans import Reading, read_spans

OFF = "switched off (LAST9_SELECT): whole spans were fetched, contents dropped on arrival"
UNTRIED = "not tried: no span was asked for, or none came"


class Selecting:
    """Asks for spans; remembers whether `select` works. Thread-safe."""

    def __init__(self, client: Last9Client, labels: Iterable[str], *, enabled: bool) -> None:
        self._client = client
        self._selection = Selection(labels)
        self._lock = threading.Lock()
        self._is_on = enabled
        self._note = UNTRIED if enabled else OFF

    @property
    def note(self) -> str:
        """How contents were kept out, in words."""
        return self._note

    def spans(self, pipeline: Pipeline, start_s: int, end_s: int, limit: int) -> Reading:
        """Return the spans that match, read."""
        reading = self._selected(pipeline, start_s, end_s, limit) if self._is_on else None
        if reading is None:
            rows = self._client.query(pipeline.document(), start_s, end_s, limit)
            reading = self._counted(read_spans(rows))
        return reading

    def _selected(self, pipeline: Pipeline, start_s: int, end_s: int, limit: int) -> Reading | None:
        """Return the spans of a query with `select`; None where it must be asked without."""
        document = pipeline.select(self._selection.fields).document()
        try:
            answer = self._selection.read(self._client.query(document, start_s, end_s, limit))
        except QueryRefused as error:
            self._give_up(f"Last9 refused a select stage ({error.message})")
            return None
        if answer.shape is Shape.EMPTY:
            return read_spans(())
        if answer.shape is Shape.BROKEN:
            self._give_up(f"the answer to a select stage cannot be used ({answer.reason})")
            return None
        reading = read_spans(answer.rows)
        if answer.shape is Shape.IGNORED:
            self._give_up("Last9 ignored a select stage")
            return self._counted(reading)
        if reading.problems:
            self._give_up(f"the answer to a select stage cannot be read ({reading.problems[0]})")
            return None
        self._remember("deselected by a select stage: contents were not fetched")
        return reading

    def _counted(self, reading: Reading) -> Reading:
        if reading.problems:
            self._client.count_unreadable(len(reading.problems))
        return reading

    def _give_up(self, why: str) -> None:
        with self._lock:
            if self._is_on:
                self._is_on = False
                self._note = f"{why}: whole spans were fetched, contents dropped on arrival"

    def _remember(self, note: str) -> None:
        with self._lock:
            if self._is_on:
                self._note = note

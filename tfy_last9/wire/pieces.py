"""Tool calls that arrive in pieces: put together by their place in the answer."""

from __future__ import annotations

from collections.abc import Mapping

from tfy_last9.model.conversation import ToolCall
from tfy_last9.wire.json_values import worded


class Pieces:
    """Collects ids, names and pieces of arguments."""

    def __init__(self) -> None:
        self._calls: dict[object, list[str]] = {}

    def add(self, place: object, call_id: object, named: Mapping[str, object]) -> None:
        """Add one piece; `named` may hold `name` and a piece of `arguments`."""
        call = self._calls.setdefault(place, ["", "", ""])
        call[0] = worded(call_id) or call[0]
        call[1] = worded(named.get("name")) or call[1]
        call[2] += worded(named.get("arguments")) or ""

    def whole(self) -> tuple[ToolCall, ...]:
        """Return the calls in the order they began; one without an id goes by its name."""
        return tuple(
            ToolCall(call_id or name, name, arguments or "{}")
            for call_id, name, arguments in self._calls.values()
        )

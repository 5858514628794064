"""Change events: written with write scope, kept beside the spans, read back as a metric.

Labels are the attributes plus `event_name` and `event_state`; the public readers also look for
`service`, so `service_name` is stored under both names (last9.io/docs/change-events).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

import orjson

from tfy_last9.standins.last9.message import Refusal, Reply, Request, json_reply
from tfy_last9.standins.last9.reading import Reading, json_object
from tfy_last9.standins.last9.sql import Sql

METRIC = "last9_change_events"
VALUES = {"start": 1.0, "stop": 2.0}
BACKFILL_S = 3600
"""Older events are stamped with the time they arrived; the real limit is not public."""
KEYS = frozenset(
    {"event_name", "event_state", "timestamp", "attributes", "value", "data_source_name"}
)
INSERT = "INSERT INTO change_events VALUES (?, ?, ?)"


@dataclass(frozen=True, slots=True)
class ChangeEvents:
    """Takes change events."""

    reading: Reading
    clock: Callable[[], float]

    async def put(self, request: Request) -> Reply:
        """Store one event."""
        event = json_object(request.body)
        name, state = event.get("event_name"), event.get("event_state", "start")
        if not isinstance(name, str) or not name:
            raise Refusal(HTTPStatus.BAD_REQUEST, "event_name is required")
        if state not in VALUES:
            raise Refusal(HTTPStatus.BAD_REQUEST, "event_state must be start or stop")
        if unknown := sorted(event.keys() - KEYS):
            raise Refusal(HTTPStatus.BAD_REQUEST, f"unknown field {unknown[0]}")
        stamp_s = self._stamp_s(event.get("timestamp"))
        value = _value(event.get("value", VALUES[state]))
        labels = _labels(event.get("attributes", {}))
        labels |= {"__name__": METRIC, "event_name": name, "event_state": state}
        sql = Sql(INSERT, (stamp_s, value, orjson.dumps(labels).decode()))
        await self.reading.rows(sql)
        return json_reply({"message": "success"}, rows=1)

    def _stamp_s(self, given: object) -> float:
        now_s = self.clock()
        if given is None:
            return now_s
        try:
            moment = datetime.fromisoformat(given)  # type: ignore[arg-type] # checked by the except
        except (TypeError, ValueError):
            text = f"timestamp must be ISO 8601, saw {given!r}"
            raise Refusal(HTTPStatus.BAD_REQUEST, text) from None
        stamp_s = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        return stamp_s if now_s - BACKFILL_S <= stamp_s <= now_s else now_s


def _value(given: object) -> float:
    if isinstance(given, bool) or not isinstance(given, int | float):
        raise Refusal(HTTPStatus.BAD_REQUEST, f"value must be a number, saw {given!r}")
    return float(given)


def _labels(attributes: object) -> dict[str, str]:
    if not isinstance(attributes, dict):
        raise Refusal(HTTPStatus.BAD_REQUEST, "attributes must be an object")
    labels = {key: _text(key, value) for key, value in attributes.items()}
    if "service_name" in labels:
        labels.setdefault("service", labels["service_name"])
    return labels


def _text(key: str, value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    text = f"attribute {key} must be a string, number or bool"
    raise Refusal(HTTPStatus.BAD_REQUEST, text)

"""Which attributes there are, which values they have, where time went; and change events."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar
from urllib.parse import quote

import orjson

from tfy_last9.adapters.last9.client import Last9Client
from tfy_last9.errors import BackendUnavailable
from tfy_last9.model.run import Window
from tfy_last9.wire import last9_catalogue as wire
from tfy_last9.wire.last9 import UnreadableAnswer
from tfy_last9.wire.last9_pipeline import Pipeline, everything

Read = TypeVar("Read")


class Catalogue:
    """Questions about attributes of the spans in a window."""

    def __init__(self, client: Last9Client) -> None:
        self._client = client

    def attributes(self, pipeline: Pipeline, window: Window) -> tuple[str, ...]:
        """Return the names of attributes that matching spans carry, as `last9_fields.catalogued` reads them."""
        body = self._post(wire.SERIES_PATH, self._parameters(window), pipeline, "series")
        return _read(wire.read_series, body, "series")

    def values(
        self, name: str, window: Window, pipeline: Pipeline | None = None
    ) -> tuple[str, ...]:
        """Return the values of one attribute, named as in the catalogue."""
        path = wire.values_path(quote(name, safe=""))
        asked = everything() if pipeline is None else pipeline
        body = self._post(path, self._parameters(window), asked, f"the values of {name}")
        return _read(wire.read_values, body, f"the values of {name}")

    def tags(self, window: Window) -> dict[str, tuple[str, ...]]:
        """Return the names of all attributes by scope."""
        parameters = self._parameters(window)
        body = self._client.ask("GET", wire.TAGS_PATH, parameters, None, "the list of tags")
        return _read(wire.read_tags, body, "the list of tags")

    def heat_map(
        self, pipeline: Pipeline, window: Window, *, resolution_s: int = 60, buckets: int = 20
    ) -> object:
        """Return the heat map of durations as it came: its form is not documented."""
        start_s, end_s = _seconds(window)
        region = self._client.place().region
        parameters = wire.heatmap_parameters(region, start_s, end_s, resolution_s, buckets)
        body = self._post(wire.HEATMAP_PATH, parameters, pipeline, "a heat map")
        return _read(orjson.loads, body, "a heat map")

    def _parameters(self, window: Window) -> dict[str, str]:
        return wire.window_parameters(self._client.place().region, *_seconds(window))

    def _post(self, path: str, parameters: dict[str, str], pipeline: Pipeline, what: str) -> bytes:
        return self._client.ask("POST", path, parameters, pipeline.document(), what)


def announce(
    client: Last9Client,
    name: str,
    state: str,
    at_ns: int,
    attributes: Mapping[str, str | float | bool],
) -> None:
    """Write a change event. Raises `CredentialRefused` for a token without write scope."""
    document = wire.change_event(name, state, at_ns, attributes)
    client.ask("PUT", wire.CHANGE_EVENTS_PATH, {}, document, "a change event")


def _read(read: Callable[[bytes], Read], body: bytes, what: str) -> Read:
    try:
        return read(body)
    except (UnreadableAnswer, orjson.JSONDecodeError) as error:
        raise BackendUnavailable(f"Last9's answer to {what} cannot be read: {error}") from error


def _seconds(window: Window) -> tuple[int, int]:
    return window.start_ns // 10**9, -(-window.end_ns // 10**9)

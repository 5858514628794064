"""Which attributes there are and which values they have.

Names are those of the catalogue: `resource_<key>`, `event_<key>`, and plain for span attributes
(last9-mcp-server, internal/telemetry/traces/field_mapping.go).
"""

from __future__ import annotations

from dataclasses import dataclass

from tfy_last9.standins.last9.fields import span_field
from tfy_last9.standins.last9.message import Reply, Request, json_reply
from tfy_last9.standins.last9.reading import Reading
from tfy_last9.standins.last9.sql import Sql, fill

VALUES_LIMIT = 1000
PREFIXES = {"span": "", "resource": "resource_", "event": "event_"}
"""Scope -> what stands before its names in the catalogue."""
ITEMS = {
    "span": "json_extract(doc, '/SpanAttributes')",
    "resource": "json_extract(doc, '/ResourceAttributes')",
    "event": "unnest(json_extract(details, '$.Events[*].Attributes'))",
}
KEYS = """
SELECT key, any_value(json_extract_string(item, '/' || replace(replace(key, '~', '~0'), '/', '~1')))
FROM (SELECT item, unnest(json_keys(item)) AS key FROM (SELECT {} AS item FROM spans WHERE {}))
GROUP BY key
"""


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Answers what a client may filter and group by."""

    reading: Reading

    async def series(self, request: Request) -> Reply:
        """List the attribute names of the spans that match: keys of one object, with an example."""
        window = self.reading.window(request, required=True)
        condition = self.reading.condition(request, window)
        found: dict[str, str] = {}
        for scope, prefix in PREFIXES.items():
            for key, example in await self.reading.rows(_keys(scope, condition)):
                found[prefix + key] = example or ""
        data = [dict(sorted(found.items()))] if found else []
        return json_reply({"status": "success", "data": data}, rows=len(found))

    async def label_values(self, request: Request) -> Reply:
        """List the values of one attribute, named as in the catalogue."""
        window = self.reading.window(request, required=False)
        condition = self.reading.condition(request, window)
        text = span_field(request.captured["tag"]).text
        rows = self.reading.capped(self.reading.limit(request, VALUES_LIMIT))
        sql = fill("SELECT DISTINCT {} AS value FROM spans WHERE {}", text, condition)
        sql = fill(
            "SELECT value FROM ({}) WHERE value <> '' ORDER BY 1 LIMIT {}", sql, _bound(rows)
        )
        values = [value for (value,) in await self.reading.rows(sql)]
        return json_reply({"status": "success", "data": values}, rows=len(values))

    async def tags(self, request: Request) -> Reply:
        """List all attribute names by scope; no envelope, no prefixes."""
        window = self.reading.window(request, required=True)
        scopes = []
        for scope in PREFIXES:
            rows = await self.reading.rows(_keys(scope, window.condition()))
            if tags := sorted(key for key, _ in rows):
                scopes.append({"name": scope, "tags": tags})
        return json_reply({"scopes": scopes}, rows=len(scopes))


def _keys(scope: str, condition: Sql) -> Sql:
    """Select each key of a scope with one of its values."""
    return fill(KEYS, Sql(ITEMS[scope]), condition)


def _bound(value: int) -> Sql:
    return Sql("?", (value,))

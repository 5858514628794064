"""The OpenAPI document of the query API, served at /openapi.json.

Last9 publishes none: this describes what the stand-in answers, so that tools can explore it.
"""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
WHOLE: Schema = {"type": "integer", "minimum": 1}
SECONDS: Schema = {"type": "integer", "minimum": 0, "maximum": 9_000_000_000}
BASE = "/api/v4/organizations/{organization}"
V2 = f"{BASE}/cat/api/traces/v2"
OPERATORS = (
    *("$eq", "$neq", "$ieq", "$ineq", "$gt", "$gte", "$lt", "$lte"),
    *("$contains", "$notcontains", "$icontains", "$inotcontains"),
    *("$containsWords", "$notcontainsWords", "$icontainsWords", "$inotcontainsWords"),
    *("$regex", "$notregex", "$iregex", "$inotregex"),
)
CREDENTIALS = ("read_url", "username", "password")


def _object(properties: Schema, *required: str) -> Schema:
    return {"type": "object", "properties": properties, "required": list(required)}


def _list(items: Schema, **more: Any) -> Schema:
    return {"type": "array", "items": items, **more}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _stage(kind: list[str], properties: Schema, *required: str) -> Schema:
    found = _object({"type": {"enum": kind}, **properties}, "type", *required)
    return found | {"additionalProperties": False}


def _schemas() -> Schema:
    pair = {"type": "array", "minItems": 2, "maxItems": 2, "prefixItems": [TEXT, {}], "items": {}}
    labels = {"type": "object", "additionalProperties": TEXT}
    function = {"type": "object", "minProperties": 1, "maxProperties": 1}
    function |= {"additionalProperties": _list({})}
    named = _object({"function": function, "as": TEXT}, "function", "as")
    made = _object({"function": function, "as": {"anyOf": [TEXT, _list(TEXT)]}}, "function", "as")
    window = {"type": "array", "minItems": 2, "maxItems": 2, "items": TEXT}
    condition = dict.fromkeys(OPERATORS, pair)
    nested = {name: _list(_ref("Condition")) for name in ("$and", "$or", "$not")}
    return {
        "Error": _object({"error": {}}, "error"),
        "Condition": {"type": "object", "properties": condition | nested},
        "Query": {"type": "object", "properties": nested, "additionalProperties": False},
        "Stage": {
            "oneOf": [
                _stage(["filter", "where"], {"query": _ref("Query")}, "query"),
                _stage(
                    ["parse"],
                    {
                        "parser": {"enum": ["json", "regexp", "logfmt"]},
                        "field": TEXT,
                        "labels": labels,
                        "pattern": TEXT,
                    },
                    "parser",
                ),
                _stage(["transform"], {"transforms": _list(made, minItems=1)}, "transforms"),
                _stage(["select"], {"labels": labels}, "labels"),
                _stage(
                    ["aggregate"],
                    {"aggregates": _list(named, minItems=1), "groupby": labels},
                    "aggregates",
                ),
                _stage(
                    ["window_aggregate"],
                    {"function": function, "as": TEXT, "window": window, "groupby": labels},
                    *("function", "as", "window"),
                ),
            ]
        },
        "Pipeline": _object({"pipeline": _list(_ref("Stage"))}, "pipeline"),
        "ChangeEvent": _object(
            {
                "event_name": TEXT,
                "event_state": {"enum": ["start", "stop"]},
                "timestamp": {"type": "string", "format": "date-time"},
                "attributes": {
                    "type": "object",
                    "additionalProperties": {"type": ["string", "number", "boolean"]},
                },
                "value": {"type": "number"},
                "data_source_name": TEXT,
            },
            "event_name",
        ),
    }


def _parameter(
    name: str, schema: Schema, *, required: bool = False, place: str = "query"
) -> Schema:
    return {"name": name, "in": place, "required": required, "schema": schema}


REGION = _parameter("region", {"enum": ["ap-south-1"]}, required=True)
WINDOW = [REGION, *(_parameter(name, SECONDS, required=True) for name in ("start", "end"))]
MAYBE_WINDOW = [REGION, *(_parameter(name, SECONDS) for name in ("start", "end"))]
LIMIT = _parameter("limit", WHOLE)
PAGE = [
    LIMIT,
    _parameter("order", {"enum": ["asc", "desc", "Timestamp", "Duration"]}),
    _parameter("direction", {"enum": ["backward", "forward"]}),
    _parameter("mode", {"enum": ["span", "trace"]}),
]
HEAT = [_parameter(name, WHOLE, required=True) for name in ("time_resolution_sec", "buckets")]


def _content(schema: Schema) -> Schema:
    return {"application/json": {"schema": schema}}


def _operation(
    summary: str, parameters: list[Schema], body: Schema | None = None, *, in_base: bool = True
) -> Schema:
    places = [_parameter("organization", {"enum": ["acme"]}, required=True, place="path")]
    ok = {"description": "answer", "content": _content({})}
    error = {"description": "refusal", "content": _content(_ref("Error"))}
    found = {
        "summary": summary,
        "parameters": (places if in_base else []) + parameters,
        "responses": {"200": ok, "4XX": error},
    }
    if body is not None:
        found["requestBody"] = {"required": True, "content": _content(body)}
    if in_base:
        found["security"] = [{"token": []}]
    return found


def _metric_body(name: str, schema: Schema, *more: str) -> Schema:
    properties = {name: schema, "timestamp": SECONDS, **dict.fromkeys(CREDENTIALS, TEXT)}
    properties |= dict.fromkeys(more, SECONDS)
    return _object(properties, name, *CREDENTIALS)


def _paths() -> Schema:
    pipeline = _ref("Pipeline")
    trace = _parameter("trace_id", {"type": "string", "minLength": 1}, required=True, place="path")
    tag = _parameter("tag", {"type": "string", "minLength": 1}, required=True, place="path")
    values = _metric_body("label", TEXT, "window")
    values["properties"]["matches"] = _list(TEXT)
    span = _parameter("span_limit", WHOLE)
    lengths = [_parameter(name, TEXT) for name in ("minDuration", "maxDuration")]
    exchange = _object({"refresh_token": TEXT, "grant_type": TEXT}, "refresh_token")
    return {
        "/api/v4/oauth/access_token": {
            "post": _operation("Exchange a refresh token", [], exchange, in_base=False)
        },
        BASE: {"get": _operation("The organisation", [])},
        f"{BASE}/datasources": {"get": _operation("Data sources", [])},
        f"{BASE}/clusters": {"get": _operation("Clusters", [_parameter("region", TEXT)])},
        f"{V2}/query_range/json": {"post": _operation("Query", [*WINDOW, *PAGE], pipeline)},
        f"{V2}/search/json": {
            "post": _operation("Search", [*WINDOW, *PAGE, span, *lengths], pipeline)
        },
        f"{V2}/heatmap/json": {"post": _operation("Heat map", [*WINDOW, *HEAT], pipeline)},
        f"{V2}/series/json": {"post": _operation("Attribute names", WINDOW, pipeline)},
        f"{V2}/label/json/{{tag}}/values": {
            "post": _operation("Values of an attribute", [tag, *MAYBE_WINDOW, LIMIT], pipeline)
        },
        f"{BASE}/cat/api/search/tags": {"get": _operation("Attribute catalogue", WINDOW)},
        f"{BASE}/cat/api/traces/{{trace_id}}": {
            "get": _operation("One trace", [trace, *MAYBE_WINDOW, LIMIT])
        },
        f"{BASE}/change_events": {"put": _operation("Change event", [], _ref("ChangeEvent"))},
        f"{BASE}/prom_query_instant": {
            "post": _operation("Metric at an instant", [], _metric_body("query", TEXT))
        },
        f"{BASE}/prom_query": {
            "post": _operation("Metric over time", [], _metric_body("query", TEXT, "window"))
        },
        f"{BASE}/prom_label_values": {"post": _operation("Values of a label", [], values)},
        f"{BASE}/apm/labels": {
            "post": _operation("Labels", [], _metric_body("metric", TEXT, "window"))
        },
    }


def document() -> Schema:
    """Build the document."""
    header = {"type": "apiKey", "in": "header", "name": "X-LAST9-API-TOKEN"}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Last9 stand-in of tfy-last9", "version": "1"},
        "paths": _paths(),
        "components": {"schemas": _schemas(), "securitySchemes": {"token": header}},
    }

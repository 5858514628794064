"""The rules of the CTRF schema (github.com/ctrf-io/ctrf, schema/ctrf.schema.json) that our reports can break.

Written again from the published schema, with the properties we use and every name it allows.
"""

_TEXT = {"type": "string"}
_COUNT = {"type": "integer"}
_FREE = {"type": "object"}
_SCALAR = {"anyOf": [{"type": "string"}, {"type": "number"}, {"type": "boolean"}]}

TEST = {
    "type": "object",
    "required": ["name", "status", "duration"],
    "additionalProperties": False,
    "properties": {
        "id": {"type": "string", "format": "uuid"},
        "name": {"type": "string", "minLength": 1},
        "status": {"enum": ["passed", "failed", "skipped", "pending", "other"]},
        "duration": _COUNT,
        "start": _COUNT,
        "stop": _COUNT,
        "suite": {"type": "array", "minItems": 1, "items": _TEXT},
        "message": _TEXT,
        "trace": _TEXT,
        "line": _COUNT,
        "rawStatus": _TEXT,
        "tags": {"type": "array", "items": _TEXT},
        "labels": {"type": "object", "additionalProperties": _SCALAR},
        "type": _TEXT,
        "filePath": _TEXT,
        "retries": _COUNT,
        "flaky": {"type": "boolean"},
        "parameters": _FREE,
        "extra": _FREE,
    },
}

SUMMARY = {
    "type": "object",
    "required": ["tests", "passed", "failed", "skipped", "pending", "other", "start", "stop"],
    "additionalProperties": False,
    "properties": {
        **dict.fromkeys(
            ["tests", "passed", "failed", "skipped", "pending", "other", "flaky", "suites"], _COUNT
        ),
        **dict.fromkeys(["start", "stop", "duration"], _COUNT),
        "extra": _FREE,
    },
}

CTRF = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "type": "object",
    "required": ["results", "reportFormat", "specVersion"],
    "additionalProperties": False,
    "properties": {
        "reportFormat": {"const": "CTRF"},
        "specVersion": {"type": "string", "pattern": r"^[0-9]+\.[0-9]+\.[0-9]+$"},
        "reportId": {"type": "string", "format": "uuid"},
        "timestamp": {"type": "string", "format": "date-time"},
        "generatedBy": _TEXT,
        "extra": _FREE,
        "results": {
            "type": "object",
            "required": ["tool", "summary", "tests"],
            "additionalProperties": False,
            "properties": {
                "tool": {
                    "type": "object",
                    "required": ["name"],
                    "additionalProperties": False,
                    "properties": {
                        "name": {"type": "string", "minLength": 1},
                        "version": _TEXT,
                        "extra": _FREE,
                    },
                },
                "summary": SUMMARY,
                "tests": {"type": "array", "items": TEST},
                "environment": _FREE,
                "extra": _FREE,
            },
        },
        "insights": _FREE,
        "baseline": {"type": "object", "required": ["reportId"]},
    },
}

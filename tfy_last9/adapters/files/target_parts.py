"""The shapes of what a target may say beyond its model: checks, a quota, an MCP session."""

from __future__ import annotations

import re
from typing import Annotated

import jsonschema
from pydantic import AfterValidator, Field, JsonValue, model_validator

from tfy_last9.adapters.files.complaints import shown
from tfy_last9.adapters.files.scenario_parts import Part, Text
from tfy_last9.model.check import Check, CheckKind, Quota
from tfy_last9.model.conversation import McpCall, McpScript
from tfy_last9.model.price import Price


def _pattern(value: str) -> str:
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(f"not a regular expression: {error} in {shown(value)}") from None
    return value


def _schema(value: dict[str, JsonValue]) -> dict[str, JsonValue]:
    try:
        jsonschema.Draft202012Validator.check_schema(value)
    except jsonschema.SchemaError as error:
        raise ValueError(f"not a JSON Schema (draft 2020-12): {error.message}") from None
    return value


def _path(value: str) -> str:
    if not re.fullmatch(r"/[\x21-\x7e]+", value):
        raise ValueError(
            f'expected a path below the gateway, such as "/rerank", got {shown(value)}'
        )
    return value


def _server(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", value):
        raise ValueError(
            f"expected an MCP server as the gateway lists it, got {shown(value)};"
            " where it is served somewhere else, add `path`"
        )
    return value


Pattern = Annotated[str, Field(min_length=1), AfterValidator(_pattern)]
JsonSchema = Annotated[dict[str, JsonValue], AfterValidator(_schema)]
Path = Annotated[str, AfterValidator(_path)]
Server = Annotated[str, AfterValidator(_server)]


class ChecksPart(Part):
    """What an answer must be like to count as good."""

    non_empty: bool = False
    finish_reason: Annotated[list[Text], Field(min_length=1)] | None = None
    regex: Pattern | None = None
    json_schema: JsonSchema | None = None


class QuotaPart(Part):
    """What a target may be sent; rates are per minute."""

    rpm: Annotated[float, Field(gt=0, strict=False)] | None = None
    tpm: Annotated[float, Field(gt=0, strict=False)] | None = None

    @model_validator(mode="after")
    def _limits_something(self) -> QuotaPart:
        if self.rpm is None and self.tpm is None:
            raise ValueError("a quota needs rpm (requests per minute), tpm (tokens), or both")
        return self


class PricePart(Part):
    """What a target costs: USD per million tokens, USD per request."""

    input_usd_per_mtok: Annotated[float, Field(ge=0, strict=False)] | None = None
    output_usd_per_mtok: Annotated[float, Field(ge=0, strict=False)] | None = None
    request_usd: Annotated[float, Field(ge=0, strict=False)] | None = None

    @model_validator(mode="after")
    def _says_something(self) -> PricePart:
        tokens = self.input_usd_per_mtok, self.output_usd_per_mtok
        if tokens == (None, None) and self.request_usd is None:
            raise ValueError(
                "a price needs input_usd_per_mtok and output_usd_per_mtok, request_usd, or all of them"
            )
        return self


class McpCallPart(Part):
    """One tool call."""

    tool: Text
    arguments: dict[str, JsonValue] = Field(default_factory=dict)
    times: Annotated[int, Field(ge=1, le=10_000)] = 1


class McpPart(Part):
    """What an MCP session does after its handshake."""

    calls: Annotated[list[McpCallPart], Field(min_length=1)]
    list_tools: bool = True
    protocol_version: Text = "2025-06-18"


def checks_of(part: ChecksPart | None) -> tuple[Check, ...]:
    """Return the checks in the order in which the first that fails is named."""
    if part is None:
        return ()
    found = []
    if part.non_empty:
        found.append(Check(CheckKind.NON_EMPTY))
    if part.finish_reason is not None:
        found.append(Check(CheckKind.FINISH_REASON, words=tuple(part.finish_reason)))
    if part.regex is not None:
        found.append(Check(CheckKind.REGEX, pattern=part.regex))
    if part.json_schema is not None:
        found.append(Check(CheckKind.JSON_SCHEMA, schema=dict(part.json_schema)))
    return tuple(found)


def quota_of(part: QuotaPart | None) -> Quota | None:
    """Return the quota of a target."""
    return None if part is None else Quota(part.rpm, part.tpm)


def price_of(part: PricePart | None) -> Price | None:
    """Return the price of a target."""
    if part is None:
        return None
    asked = part.input_usd_per_mtok, part.output_usd_per_mtok, part.request_usd
    return Price(*(value or 0.0 for value in asked))


def mcp_of(part: McpPart | None) -> McpScript | None:
    """Return the script of an MCP target."""
    if part is None:
        return None
    calls = (McpCall(call.tool, dict(call.arguments), call.times) for call in part.calls)
    return McpScript(tuple(calls), part.list_tools, part.protocol_version)

"""What the shapes of scenario files are made of: names, durations, rates, headers, and what is reserved."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
)

from tfy_last9.adapters.files.complaints import shown

RESERVED_METADATA = frozenset({"run_id", "request_id", "phase", "target", "scenario", "arm"})
"""Keys that the client itself writes into `x-tfy-metadata`."""
RESERVED_HEADERS = frozenset(
    {
        *("authorization", "x-tfy-metadata", "traceparent", "host", "content-type"),
        *("content-length", "transfer-encoding", "connection"),
    }
)
"""Headers that the client writes itself; credentials never come from a file."""
RESERVED_BODY = frozenset({"model", "messages", "stream"})

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_RATE = re.compile(r"(\d+(?:\.\d+)?)/(s|min|h)")
_PER_SECOND = {"s": 1.0, "min": 60.0, "h": 3600.0}
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")


def parse_duration(value: object) -> float:
    """Return seconds."""
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f'expected a duration such as "500ms", "5s" or "2m", got {shown(value)}')
    amount, unit = float(match[1]), match[2]
    if amount == 0.0:
        raise ValueError(f"a duration must be longer than zero, got {shown(value)}")
    return amount / 1000.0 if unit == "ms" else amount * _SECONDS[unit]


def parse_rate(value: object) -> float:
    """Return requests per second."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        rate = float(value)
    else:
        match = _RATE.fullmatch(value) if isinstance(value, str) else None
        if match is None:
            raise ValueError(f'expected a rate such as "80/s" or "600/min", got {shown(value)}')
        rate = float(match[1]) / _PER_SECOND[match[2]]
    if not 0.0 < rate <= 1e6:  # noqa: PLR2004 - also refuses NaN and infinity
        raise ValueError(f"a rate must be above 0 and at most 1000000/s, got {shown(value)}")
    return rate


def _name(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", value):
        raise ValueError(
            f"a name has 1 to 63 letters, digits, dots, dashes or underscores, got {shown(value)}"
        )
    return value


def _model(value: str) -> str:
    if not re.fullmatch(r"[^/\s]+/\S+", value):
        raise ValueError(
            f"expected account/model, as the gateway lists it, got {shown(value)};"
            " a virtual model has an account too"
        )
    return value


def _header_name(value: str) -> str:
    if value.lower() in RESERVED_HEADERS:
        raise ValueError(f'header "{value}" is written by the client; take it out of the scenario')
    if not _HEADER_NAME.fullmatch(value):
        raise ValueError(f"not a valid header name: {shown(value)}")
    return value


def _header_value(value: str) -> str:
    if not value.isprintable() or not value.isascii():
        raise ValueError("a header value holds printable ASCII only")
    return value


def _metadata_key(value: str) -> str:
    if value in RESERVED_METADATA:
        raise ValueError(f'metadata key "{value}" is written by the client; choose another name')
    return value


def _metadata_value(value: str) -> str:
    if len(value) > 128:  # noqa: PLR2004 - TrueFoundry gateway docs: metadata values up to 128 characters
        raise ValueError(f"a metadata value has at most 128 characters, got {len(value)}")
    return value


def _body_key(value: str) -> str:
    if value in RESERVED_BODY:
        raise ValueError(f'body key "{value}" comes from the target itself; take it out of body')
    return value


_DURATION_SCHEMA = {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?(ms|s|m|h)$"}
_RATE_SCHEMA = {
    "anyOf": [
        {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?/(s|min|h)$"},
        {"type": "number", "exclusiveMinimum": 0},
    ]
}
_NAME_SCHEMA = {"type": "string", "pattern": r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"}

Duration = Annotated[float, BeforeValidator(parse_duration), WithJsonSchema(_DURATION_SCHEMA)]
Rate = Annotated[float, BeforeValidator(parse_rate), WithJsonSchema(_RATE_SCHEMA)]
Name = Annotated[str, AfterValidator(_name), WithJsonSchema(_NAME_SCHEMA)]
Text = Annotated[str, Field(min_length=1)]
Model = Annotated[str, AfterValidator(_model)]
HeaderName = Annotated[str, AfterValidator(_header_name)]
HeaderValue = Annotated[str, AfterValidator(_header_value)]
BodyKey = Annotated[str, AfterValidator(_body_key)]
MetadataKey = Annotated[str, AfterValidator(_metadata_key)]
MetadataValue = Annotated[str, AfterValidator(_metadata_value)]


class Part(BaseModel):
    """A mapping of the file: no unknown keys, no conversions."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

"""Words of OpenSLO v1: names, labels, durations, and the metadata of every object.

Sources: README of OpenSLO/OpenSLO and the validation of OpenSLO/go-sdk; where they differ, the stricter.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from tfy_last9.adapters.files.complaints import shown

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_LABEL_KEY = re.compile(r"[a-zA-Z0-9]([-._a-zA-Z0-9]{0,61}[a-zA-Z0-9])?")
_ANNOTATION_KEY = re.compile(
    r"([a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?/)?[a-zA-Z0-9]([-._a-zA-Z0-9]{0,61}[a-zA-Z0-9])?"
)
_DURATION = re.compile(r"[1-9][0-9]*[mhdwMQY]")
_SECONDS = {
    "m": 60,
    "h": 3600,
    "d": 86_400,
    "w": 604_800,
    "M": 30 * 86_400,
    "Q": 90 * 86_400,
    "Y": 365 * 86_400,
}


def _rfc1123(value: str) -> str:
    if not _LABEL.fullmatch(value):
        raise ValueError(
            f"expected 1 to 63 lower-case letters, digits and inner dashes, got {shown(value)}"
        )
    return value


def _label_key(value: str) -> str:
    if not _LABEL_KEY.fullmatch(value):
        raise ValueError(f"not a valid label key: {shown(value)}")
    return value


def _annotation_key(value: str) -> str:
    if value.startswith("openslo.com/"):
        raise ValueError(f"the prefix openslo.com/ is reserved, got {shown(value)}")
    if not _ANNOTATION_KEY.fullmatch(value):
        raise ValueError(f"not a valid annotation key: {shown(value)}")
    return value


def _duration(value: str) -> str:
    if not _DURATION.fullmatch(value):
        raise ValueError(
            "expected a whole number above 0 and one unit of m h d w M Q Y"
            f" (minute, hour, day, week, month, quarter, year), got {shown(value)}"
        )
    return value


def seconds(duration: str) -> int:
    """Return a valid duration in seconds; a month counts 30 days, a quarter 90, a year 365."""
    return int(duration[:-1]) * _SECONDS[duration[-1]]


def _start_time(value: str) -> str:
    try:
        datetime.strptime(value, "%Y-%m-%d %H:%M:%S")  # noqa: DTZ007 - OpenSLO writes it without a zone
    except ValueError:
        raise ValueError(f'expected "YYYY-MM-DD HH:MM:SS", got {shown(value)}') from None
    return value


def _time_zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(
            f'expected an IANA time zone such as "Asia/Kolkata", got {shown(value)}'
        ) from None
    return value


Label = Annotated[str, AfterValidator(_rfc1123)]
Description = Annotated[str, Field(max_length=1050)]
DisplayName = Annotated[str, Field(max_length=63)]
StartTime = Annotated[str, AfterValidator(_start_time)]
TimeZone = Annotated[str, AfterValidator(_time_zone)]
Duration = Annotated[str, AfterValidator(_duration)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Text = Annotated[str, Field(min_length=1)]


class Part(BaseModel):
    """A mapping of the file: no unknown keys, no conversions."""

    model_config = ConfigDict(extra="forbid", strict=True, alias_generator=to_camel)


class Metadata(Part):
    """Name and labels of an object."""

    name: Label
    display_name: DisplayName | None = None
    labels: dict[Annotated[str, AfterValidator(_label_key)], str] = {}
    annotations: dict[Annotated[str, AfterValidator(_annotation_key)], str] = {}

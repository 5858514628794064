"""The shape of OpenSLO v1 objects, as strict as both the specification and `oslo validate`.

Sources: README of OpenSLO/OpenSLO and the validation of OpenSLO/go-sdk; where they differ, the stricter.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from tfy_last9.adapters.files.complaints import shown

API_VERSION = "openslo/v1"
KINDS = (
    *("DataSource", "SLO", "SLI", "AlertPolicy", "AlertCondition"),
    *("AlertNotificationTarget", "Service"),
)
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_LABEL_KEY = re.compile(r"[a-zA-Z0-9]([-._a-zA-Z0-9]{0,61}[a-zA-Z0-9])?")
_ANNOTATION_KEY = re.compile(
    r"([a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?/)?[a-zA-Z0-9]([-._a-zA-Z0-9]{0,61}[a-zA-Z0-9])?"
)
_DURATION = re.compile(r"[1-9][0-9]*[mhdwMQY]")


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


def _occurrences(value: str) -> str:
    if value in ("Timeslices", "RatioTimeslices"):
        raise ValueError(f"{value} is not supported yet, use Occurrences")
    if value != "Occurrences":
        raise ValueError(f"expected Occurrences, got {shown(value)}")
    return value


Label = Annotated[str, AfterValidator(_rfc1123)]
Description = Annotated[str, Field(max_length=1050)]
DisplayName = Annotated[str, Field(max_length=63)]
Duration = Annotated[str, AfterValidator(_duration)]
Number = Annotated[float, Field(allow_inf_nan=False)]


class Part(BaseModel):
    """A mapping of the file: no unknown keys, no conversions."""

    model_config = ConfigDict(extra="forbid", strict=True, alias_generator=to_camel)


class Metadata(Part):
    """Name and labels of an object."""

    name: Label
    display_name: DisplayName | None = None
    labels: dict[Annotated[str, AfterValidator(_label_key)], str] = {}
    annotations: dict[Annotated[str, AfterValidator(_annotation_key)], str] = {}


class MetricSource(Part):
    """Where a metric comes from; the content of `spec` is ours."""

    metric_source_ref: Label | None = None
    type: Annotated[str, Field(min_length=1)] | None = None
    spec: Annotated[dict[str, Any], Field(min_length=1)]

    @model_validator(mode="after")
    def _says_where(self) -> MetricSource:
        if self.metric_source_ref is None and self.type is None:
            raise ValueError("metricSource needs type, or metricSourceRef to a DataSource")
        return self


class Metric(Part):
    """One metric of an SLI."""

    metric_source: MetricSource


class RatioMetric(Part):
    """A share of events."""

    counter: bool = False
    good: Metric | None = None
    bad: Metric | None = None
    total: Metric | None = None
    raw: Metric | None = None
    raw_type: Literal["success", "failure"] | None = None

    @model_validator(mode="after")
    def _supported_pair(self) -> RatioMetric:
        if self.raw is not None or self.raw_type is not None:
            raise ValueError("raw ratios are not supported: write bad and total")
        if self.total is None or (self.good is None) == (self.bad is None):
            raise ValueError("ratioMetric needs total and either bad or good")
        if self.counter:
            raise ValueError("counter must be false: events are counted, no counter is read")
        return self


class SliSpec(Part):
    """What is measured."""

    description: Description | None = None
    threshold_metric: Metric | None = None
    ratio_metric: RatioMetric | None = None

    @model_validator(mode="after")
    def _one_metric(self) -> SliSpec:
        if (self.threshold_metric is None) == (self.ratio_metric is None):
            raise ValueError("an SLI needs exactly one of thresholdMetric and ratioMetric")
        return self


class InlineIndicator(Part):
    """An SLI written inside its SLO."""

    metadata: Metadata
    spec: SliSpec


class Calendar(Part):
    """Start of a calendar-aligned window."""

    start_time: Annotated[str, AfterValidator(_start_time)]
    time_zone: Annotated[str, AfterValidator(_time_zone)]


class TimeWindow(Part):
    """The window of the budget; a run is judged over its intersection with it."""

    duration: Duration
    is_rolling: bool
    calendar: Calendar | None = None

    @model_validator(mode="after")
    def _calendar_or_rolling(self) -> TimeWindow:
        if self.is_rolling == (self.calendar is not None):
            raise ValueError("calendar belongs to isRolling: false, and is required there")
        return self


class ObjectivePart(Part):
    """One promise of an SLO."""

    display_name: DisplayName | None = None
    op: Literal["lte", "lt", "gte", "gt"] | None = None
    value: Number | None = None
    target: Annotated[float, Field(ge=0.0, lt=1.0)] | None = None
    target_percent: Annotated[float, Field(ge=0.0, lt=100.0)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _supported(cls, data: Any) -> Any:
        if isinstance(data, dict):
            if data.keys() & {"indicator", "indicatorRef", "compositeWeight"}:
                raise ValueError(
                    "composite SLOs are not supported yet, write one SLO per indicator"
                )
            if data.keys() & {"timeSliceTarget", "timeSliceWindow"}:
                raise ValueError("time slices are not supported yet, use Occurrences")
        return data

    @model_validator(mode="after")
    def _one_target(self) -> ObjectivePart:
        if (self.target is None) == (self.target_percent is None):
            raise ValueError("an objective needs exactly one of target and targetPercent")
        return self

    @property
    def share(self) -> float:
        """Return the target as a share of good events."""
        if self.target is not None:
            return self.target
        assert self.target_percent is not None
        return round(self.target_percent / 100.0, 12)


class SloSpec(Part):
    """The body of an SLO."""

    description: Description | None = None
    service: Label
    indicator: InlineIndicator | None = None
    indicator_ref: Label | None = None
    time_window: Annotated[list[TimeWindow], Field(min_length=1, max_length=1)]
    budgeting_method: Annotated[str, AfterValidator(_occurrences)]
    objectives: Annotated[list[ObjectivePart], Field(min_length=1)]
    alert_policies: list[dict[str, Any]] = []

    @model_validator(mode="after")
    def _one_indicator(self) -> SloSpec:
        if (self.indicator is None) == (self.indicator_ref is None):
            raise ValueError("an SLO needs exactly one of indicator and indicatorRef")
        return self


class DataSourceSpec(Part):
    """A named source; secrets are named by their environment variable, never written."""

    description: Description | None = None
    type: Annotated[str, Field(min_length=1)]
    connection_details: Any


class Envelope(Part):
    """What every OpenSLO object has."""

    api_version: Literal["openslo/v1"]
    kind: Literal[
        "DataSource",
        "SLO",
        "SLI",
        "AlertPolicy",
        "AlertCondition",
        "AlertNotificationTarget",
        "Service",
    ]
    metadata: Metadata
    spec: dict[str, Any]


class SloObject(Envelope):
    """An SLO."""

    spec: SloSpec  # type: ignore[assignment]  # narrows the envelope's free-form spec


class SliObject(Envelope):
    """An SLI that SLOs refer to."""

    spec: SliSpec  # type: ignore[assignment]  # narrows the envelope's free-form spec


class DataSourceObject(Envelope):
    """A data source that metric sources refer to."""

    spec: DataSourceSpec  # type: ignore[assignment]  # narrows the envelope's free-form spec


MODELS: dict[str, type[Envelope]] = {
    "SLO": SloObject,
    "SLI": SliObject,
    "DataSource": DataSourceObject,
}
"""Kinds that are read; the others are checked as envelopes and otherwise ignored."""

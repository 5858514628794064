"""The shape of OpenSLO v1 objects, as strict as both the specification and `oslo validate`.

Sources: README of OpenSLO/OpenSLO and the validation of OpenSLO/go-sdk; where they differ, the stricter.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from tfy_last9.adapters.files.openslo_alerts import (
    AlertConditionSpec,
    AlertNotificationTargetSpec,
    AlertPolicyReference,
    AlertPolicySpec,
    InlineAlertPolicy,
)
from tfy_last9.adapters.files.openslo_types import (
    Description,
    DisplayName,
    Duration,
    Label,
    Metadata,
    Number,
    Part,
    StartTime,
    Text,
    TimeZone,
    seconds,
)

API_VERSION = "openslo/v1"
KINDS = (
    *("DataSource", "SLO", "SLI", "AlertPolicy", "AlertCondition"),
    *("AlertNotificationTarget", "Service"),
)


class MetricSource(Part):
    """Where a metric comes from; the content of `spec` is ours."""

    metric_source_ref: Label | None = None
    type: Text | None = None
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

    start_time: StartTime
    time_zone: TimeZone


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
    time_slice_target: Annotated[float, Field(gt=0.0, le=1.0)] | None = None
    time_slice_window: Duration | None = None
    indicator: InlineIndicator | None = None
    indicator_ref: Label | None = None
    composite_weight: Annotated[float, Field(gt=0.0, allow_inf_nan=False)] | None = None

    @model_validator(mode="after")
    def _one_target(self) -> ObjectivePart:
        if (self.target is None) == (self.target_percent is None):
            raise ValueError("an objective needs exactly one of target and targetPercent")
        if self.indicator is not None and self.indicator_ref is not None:
            raise ValueError("an objective has one of indicator and indicatorRef, not both")
        if self.composite_weight is not None and not self.has_indicator:
            raise ValueError("compositeWeight belongs to an objective with its own indicator")
        return self

    @property
    def has_indicator(self) -> bool:
        """Tell whether the objective carries its own indicator, as in a composite SLO."""
        return self.indicator is not None or self.indicator_ref is not None

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
    budgeting_method: Literal["Occurrences", "Timeslices", "RatioTimeslices"]
    objectives: Annotated[list[ObjectivePart], Field(min_length=1)]
    alert_policies: list[InlineAlertPolicy | AlertPolicyReference] = Field(default_factory=list)

    @model_validator(mode="after")
    def _one_indicator(self) -> SloSpec:
        own = [part.has_indicator for part in self.objectives]
        here = (self.indicator is not None) + (self.indicator_ref is not None)
        if any(own) and here:
            raise ValueError(
                "indicators stand either on the SLO or on its objectives (composite), not on both"
            )
        if any(own) and not all(own):
            raise ValueError("in a composite SLO every objective needs its own indicator")
        if not any(own) and here != 1:
            raise ValueError("an SLO needs exactly one of indicator and indicatorRef")
        return self

    @model_validator(mode="after")
    def _slices(self) -> SloSpec:
        for part in self.objectives:
            wanted = self.budgeting_method
            if (part.time_slice_window is None) != (wanted == "Occurrences"):
                raise ValueError(
                    "timeSliceWindow is required for Timeslices and RatioTimeslices,"
                    " and belongs nowhere else"
                )
            if (part.time_slice_target is None) != (wanted != "Timeslices"):
                raise ValueError("timeSliceTarget is required for Timeslices, and only there")
            window = part.time_slice_window
            if window is not None and seconds(window) >= seconds(self.time_window[0].duration):
                raise ValueError(
                    f"timeSliceWindow {window} is not shorter than the window of the budget,"
                    f" {self.time_window[0].duration} (m is a minute, M a month)"
                )
        return self


class DataSourceSpec(Part):
    """A named source; secrets are named by their environment variable, never written."""

    description: Description | None = None
    type: Text
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


class ServiceSpec(Part):
    """A group of SLOs."""

    description: Description | None = None


class ServiceObject(Envelope):
    """A service that SLOs belong to."""

    spec: ServiceSpec  # type: ignore[assignment]  # narrows the envelope's free-form spec


class AlertPolicyObject(Envelope):
    """When to alert whom. Read and checked; a run alerts nobody."""

    spec: AlertPolicySpec  # type: ignore[assignment]  # narrows the envelope's free-form spec


class AlertConditionObject(Envelope):
    """When an alert policy triggers."""

    spec: AlertConditionSpec  # type: ignore[assignment]  # narrows the envelope's free-form spec


class AlertNotificationTargetObject(Envelope):
    """Where alerts go."""

    spec: AlertNotificationTargetSpec  # type: ignore[assignment]  # narrows the free-form spec


MODELS: dict[str, type[Envelope]] = {
    "SLO": SloObject,
    "SLI": SliObject,
    "DataSource": DataSourceObject,
    "Service": ServiceObject,
    "AlertPolicy": AlertPolicyObject,
    "AlertCondition": AlertConditionObject,
    "AlertNotificationTarget": AlertNotificationTargetObject,
}

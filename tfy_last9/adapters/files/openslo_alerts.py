"""Alerting objects of OpenSLO v1: read and checked, so that a file that passes here passes elsewhere."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from tfy_last9.adapters.files.openslo_types import (
    Description,
    Duration,
    Label,
    Metadata,
    Number,
    Part,
    Text,
)


class BurnRate(Part):
    """The one condition there is: the budget burns too fast for too long."""

    kind: Literal["burnrate"]
    op: Literal["lte", "lt", "gte", "gt"]
    threshold: Number
    lookback_window: Duration
    alert_after: Duration | None = None


class AlertConditionSpec(Part):
    """The body of an AlertCondition."""

    description: Description | None = None
    severity: Text
    condition: BurnRate


class InlineAlertCondition(Part):
    """A condition written inside its policy."""

    kind: Literal["AlertCondition"]
    metadata: Metadata
    spec: AlertConditionSpec


class ConditionReference(Part):
    """A condition that stands elsewhere."""

    condition_ref: Label


class AlertNotificationTargetSpec(Part):
    """The body of an AlertNotificationTarget."""

    description: Description | None = None
    target: Text


class InlineNotificationTarget(Part):
    """A target written inside its policy."""

    kind: Literal["AlertNotificationTarget"]
    metadata: Metadata
    spec: AlertNotificationTargetSpec


class TargetReference(Part):
    """A target that stands elsewhere."""

    target_ref: Label


class AlertPolicySpec(Part):
    """The body of an AlertPolicy."""

    description: Description | None = None
    alert_when_no_data: bool = False
    alert_when_breaching: bool = False
    alert_when_resolved: bool = False
    conditions: Annotated[
        list[InlineAlertCondition | ConditionReference], Field(min_length=1, max_length=1)
    ]
    notification_targets: Annotated[
        list[InlineNotificationTarget | TargetReference], Field(min_length=1)
    ]


class InlineAlertPolicy(Part):
    """A policy written inside its SLO."""

    kind: Literal["AlertPolicy"]
    metadata: Metadata
    spec: AlertPolicySpec


class AlertPolicyReference(Part):
    """A policy that stands elsewhere."""

    alert_policy_ref: Label

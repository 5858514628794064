"""The shape of `arms:` in a scenario file: baseline and canary, and what counts as worse."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, JsonValue, WithJsonSchema

from tfy_last9.adapters.files.complaints import shown
from tfy_last9.adapters.files.scenario_parts import (
    BodyKey,
    HeaderName,
    HeaderValue,
    Model,
    Part,
    Text,
)
from tfy_last9.model.scenario import Arm, Arms, BaselinePolicy, Margins

_PERCENT = re.compile(r"(\d+(?:\.\d+)?)\s?%")


def parse_percent(value: object) -> float:
    """Return a share from text such as "10%"."""
    match = _PERCENT.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f'expected a percentage such as "10%" or "1.5%", got {shown(value)}')
    share = float(match[1]) / 100.0
    if not 0.0 < share < 1.0:
        raise ValueError(f"a margin is above 0 % and below 100 %, got {shown(value)}")
    return share


def _variable(value: str) -> str:
    if not re.fullmatch(r"[A-Z][A-Z0-9_]*", value):
        raise ValueError(
            f"expected the NAME of an environment variable, got {shown(value)};"
            " addresses and keys never come from a file"
        )
    return value


_PERCENT_SCHEMA = {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)? ?%$"}
_VARIABLE_SCHEMA = {"type": "string", "pattern": "^[A-Z][A-Z0-9_]*$"}
Percent = Annotated[float, BeforeValidator(parse_percent), WithJsonSchema(_PERCENT_SCHEMA)]
Variable = Annotated[str, AfterValidator(_variable), WithJsonSchema(_VARIABLE_SCHEMA)]


class ArmPart(Part):
    """What one arm does differently; an empty mapping sends the targets as they are."""

    gateway: Variable = "TFY_GATEWAY_URL"
    key: Variable = "TFY_API_KEY"
    models: dict[str, Model] = Field(default_factory=dict)
    headers: dict[HeaderName, HeaderValue] = Field(default_factory=dict)
    body: dict[BodyKey, JsonValue] = Field(default_factory=dict)
    served: Text | None = None


class MarginsPart(Part):
    """How much worse the canary may be and still count as no worse."""

    latency: Percent = 0.10
    tail: Percent = 0.015
    errors: Percent = 0.01


class BaselinePart(Part):
    """How `gate --baseline` compares a run with a stored one."""

    required: bool = True
    margins: MarginsPart = MarginsPart()
    confidence: Annotated[float, Field(gt=0.5, lt=1.0)] = 0.95


class ArmsPart(Part):
    """Two arms for the same traffic."""

    baseline: ArmPart
    canary: ArmPart
    by: Text | None = None
    mirror: bool = False
    margins: MarginsPart = MarginsPart()
    confidence: Annotated[float, Field(gt=0.5, lt=1.0)] = 0.95


CacheName = Literal["as-is", "cold", "warm"]


def arms_of(part: ArmsPart) -> Arms:
    """Return the arms as the model knows them."""
    return Arms(
        baseline=_arm("baseline", part.baseline),
        canary=_arm("canary", part.canary),
        mirror=part.mirror,
        margins=_margins(part.margins),
        confidence=part.confidence,
        by=part.by,
    )


def baseline_of(part: BaselinePart) -> BaselinePolicy:
    """Return how a run is compared with a stored one."""
    return BaselinePolicy(part.required, _margins(part.margins), part.confidence)


def _margins(part: MarginsPart) -> Margins:
    return Margins(part.latency, part.tail, part.errors)


def arm_faults(part: ArmsPart, targets: list[str]) -> list[tuple[tuple[str, ...], str]]:
    """Return trail and message of what is wrong between the arms and the rest of the scenario."""
    faults: list[tuple[tuple[str, ...], str]] = []
    for name, arm in (("baseline", part.baseline), ("canary", part.canary)):
        for target in arm.models:
            if target not in targets:
                known = ", ".join(targets)
                message = f'no target is called "{target}"; the targets are {known}'
                faults.append((("arms", name, "models", target), message))
    faults += _served_faults(part)
    if part.baseline == part.canary:
        message = "both arms send the same requests to the same place: only chance could differ"
        faults.append((("arms", "canary"), message))
    return faults


def _served_faults(part: ArmsPart) -> Iterator[tuple[tuple[str, ...], str]]:
    """Arms are told by what served them, or by what is sent to them; not both."""
    sides = (("baseline", part.baseline), ("canary", part.canary))
    if part.by is None:
        for name, arm in sides:
            if arm.served is not None:
                yield (
                    ("arms", name, "served"),
                    "`served` needs `by: resolved_model` or an attribute",
                )
        return
    if part.mirror:
        yield (
            ("arms", "mirror"),
            "`mirror` sends to both arms; with `by` the gateway splits one stream",
        )
    for name, arm in sides:
        if arm.served is None:
            yield (
                ("arms", name),
                f"with `by: {part.by}` an arm needs `served`, the value that tells it",
            )
        elif arm != ArmPart(served=arm.served):
            message = "with `by` an arm is told by `served` alone: both get the same requests"
            yield ("arms", name), message


def _arm(name: str, part: ArmPart) -> Arm:
    return Arm(
        name, part.gateway, part.key, part.models, part.headers, dict(part.body), part.served
    )

"""The shape of `arrivals:` in a scenario file, and the rate curve it stands for.

`constant` and `poisson` keep one rate per phase. The other kinds run over the whole schedule, whatever
its phases are; phases then only say what is judged.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from tfy_last9.adapters.files.scenario_parts import Duration, Part, Rate, Text
from tfy_last9.arrivals import curve
from tfy_last9.model.scenario import Curve, Knot

MOST_OFFSETS = 1_000_000
_KEYS: dict[str, frozenset[str]] = {
    "constant": frozenset({"rate"}),
    "poisson": frozenset({"rate"}),
    "ramp": frozenset({"rate", "to"}),
    "steps": frozenset({"rate", "steps"}),
    "spike": frozenset({"rate", "to", "at", "for"}),
    "sine": frozenset({"rate", "swing", "period"}),
    "replay": frozenset({"file"}),
    "closed": frozenset({"users"}),
}
_OPTIONAL: dict[str, frozenset[str]] = {"closed": frozenset({"think", "gaps"})}
_SHAPED = frozenset({"ramp", "steps", "spike", "sine"})


class StepPart(Part):
    """A change of rate."""

    at: Duration
    rate: Rate


class ArrivalsPart(Part):
    """When requests are due."""

    kind: Literal["constant", "poisson", "ramp", "steps", "spike", "sine", "replay", "closed"]
    rate: Rate | None = None
    to: Rate | None = None
    """Rate at the end of a ramp, or in a spike."""
    steps: Annotated[list[StepPart], Field(min_length=1)] | None = None
    at: Duration | None = None
    for_: Annotated[Duration | None, Field(alias="for")] = None
    swing: Rate | None = None
    period: Duration | None = None
    file: Text | None = None
    """Offsets in seconds, one per line, relative to the scenario file."""
    gaps: Literal["poisson", "even"] | None = None
    users: Annotated[int | None, Field(ge=1, le=100_000)] = None
    """Closed loop: how many users; each asks again when its answer is complete."""
    think: Duration | None = None
    """Closed loop: mean pause between an answer and the next request."""

    @model_validator(mode="after")
    def _keys_of_its_kind(self) -> ArrivalsPart:
        needed = _KEYS[self.kind]
        allowed = needed | ({"gaps"} if self.kind in _SHAPED else frozenset())
        allowed |= _OPTIONAL.get(self.kind, frozenset())
        given = {
            info.alias or name
            for name, info in type(self).model_fields.items()
            if name != "kind" and getattr(self, name) is not None
        }
        if missing := sorted(needed - given):
            raise ValueError(f'arrivals of kind "{self.kind}" need {", ".join(missing)}')
        if extra := sorted(given - allowed):
            raise ValueError(f'arrivals of kind "{self.kind}" have no {", ".join(extra)}')
        self._check_shape()
        return self

    def _check_shape(self) -> None:
        if self.kind == "sine" and (self.swing or 0) > (self.rate or 0):
            raise ValueError("swing is above rate, so the rate would fall below zero")
        times = [step.at for step in self.steps or ()]
        if times != sorted(set(times)):
            raise ValueError("steps are written in order of time, each at a time of its own")


def shape_of(part: ArrivalsPart, duration_s: float) -> Curve | None:
    """Return the rate curve; None for arrivals with one rate per phase. Raises ValueError."""
    rate, to = part.rate or 0.0, part.to or 0.0
    last_s = max([(part.at or 0.0) + (part.for_ or 0.0), *(step.at for step in part.steps or ())])
    if part.kind in _SHAPED and last_s >= duration_s:
        raise ValueError(
            f"the rate would change at {last_s:g} s, but the phases end after {duration_s:g} s"
        )
    match part.kind:
        case "ramp":
            knots = curve.ramp(rate, to, duration_s)
        case "steps":
            changes = tuple(Knot(step.at, step.rate) for step in part.steps or ())
            knots = curve.steps(rate, changes, duration_s)
        case "spike":
            knots = curve.spike(rate, to, part.at or 0.0, part.for_ or 0.0, duration_s)
        case "sine":
            period_s = part.period or duration_s
            knots = curve.sine(rate, part.swing or 0.0, period_s, duration_s)
        case _:
            return None
    return Curve(knots, even=part.gaps == "even")


def read_offsets(path: Path, duration_s: float) -> tuple[float, ...]:
    """Return the due times of a replay: seconds since the start, one per line, `#` begins a comment.

    Raises ValueError naming the line, OSError if the file cannot be read.
    """
    offsets: list[float] = []
    for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1):
        text = line.partition("#")[0].strip()
        if not text:
            continue
        try:
            offset = float(text)
        except ValueError:
            raise ValueError(
                f"{path}, line {number}: expected seconds, got {text[:40]!r}"
            ) from None
        if not (math.isfinite(offset) and 0.0 <= offset < duration_s):
            raise ValueError(
                f"{path}, line {number}: {offset:g} s is outside the phases (0 to {duration_s:g} s)"
            )
        offsets.append(offset)
        if len(offsets) > MOST_OFFSETS:
            raise ValueError(f"{path} holds more than {MOST_OFFSETS:,} offsets")
    if not offsets:
        raise ValueError(f"{path} holds no offset")
    return tuple(sorted(offsets))

"""An objective: one claim about the system, read from an OpenSLO file.

A percentile claim is a counting claim: "p95 of time to first token is at most 1.5 s" says that at most
5 % of requests are slower than 1.5 s. So every objective, whatever its kind, reduces to *bad of total*
per group, against the budget `1 - target`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from tfy_last9.model.trace import Role


class Book(StrEnum):
    """Which of the two books an objective is read from."""

    LEDGER = "client-ledger"
    """What the client knows: one row per intended request."""
    LAST9 = "last9"
    """What Last9 shows: spans."""


class Operator(StrEnum):
    """OpenSLO threshold operators."""

    LTE = "lte"
    LT = "lt"
    GTE = "gte"
    GT = "gt"


@dataclass(frozen=True, slots=True)
class Condition:
    """`field` has one of `values`; several conditions are joined by AND."""

    field: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Population:
    """The events an objective counts: rows of the ledger, or spans of one role."""

    book: Book
    span: Role | None
    """Role of the counted spans; None for the ledger."""
    where: tuple[Condition, ...] = ()


@dataclass(frozen=True, slots=True)
class Threshold:
    """Good: the value of `field` satisfies `op limit`."""

    population: Population
    field: str
    """A name of `fields.FIELDS`, with its unit as suffix (`ttft_ms`)."""
    op: Operator
    limit: float


@dataclass(frozen=True, slots=True)
class Limit:
    """The value of `field` satisfies `op value`; an absent value does not."""

    field: str
    op: Operator
    value: float


@dataclass(frozen=True, slots=True)
class Quality:
    """What makes an event good: all conditions, all limits, and every named value present."""

    where: tuple[Condition, ...] = ()
    limits: tuple[Limit, ...] = ()
    has: tuple[str, ...] = ()
    """Fields, labels or attributes that the event must carry."""


@dataclass(frozen=True, slots=True)
class Ratio:
    """Bad: an event of the population that meets all of `bad`, or that is not `good` where that is given."""

    population: Population
    bad: tuple[Condition, ...]
    good: Quality | None = None


@dataclass(frozen=True, slots=True)
class Completeness:
    """Good: an expected trace that shows a span of every required role. A census, both books."""

    require: tuple[Role, ...]
    where: tuple[Condition, ...] = ()
    """Conditions on the ledger row."""


@dataclass(frozen=True, slots=True)
class Scalar:
    """One number of the whole run (per group): `missing_traces`, `cost_usd`. A census."""

    book: Book
    name: str
    """A name of `fields.RUN_FIELDS`."""
    op: Operator
    limit: float
    where: tuple[Condition, ...] = ()


@dataclass(frozen=True, slots=True)
class Member:
    """One objective of a composite SLO."""

    name: str
    indicator: Threshold | Ratio | Completeness
    target: float
    weight: float
    """Multiplies what the member burns of its own budget."""
    slice_target: float | None = None

    @property
    def budget(self) -> float:
        """Share of events that may be bad."""
        return round(1.0 - self.target, 12)


@dataclass(frozen=True, slots=True)
class Composite:
    """Several indicators that share one budget (OpenSLO: each objective carries its own indicator)."""

    members: tuple[Member, ...]


Simple = Threshold | Ratio | Completeness
"""Indicators that sort single events into good and bad."""
Indicator = Simple | Scalar | Composite


def parts(indicator: Indicator) -> tuple[Simple | Scalar, ...]:
    """Return the members' indicators of a composite, and any other indicator alone."""
    if isinstance(indicator, Composite):
        return tuple(member.indicator for member in indicator.members)
    return (indicator,)


def reads_last9(indicator: Indicator) -> bool:
    """Tell whether an indicator needs evidence, and not the ledger alone."""
    return any(
        isinstance(part, Completeness)
        or (part.book if isinstance(part, Scalar) else part.population.book) is Book.LAST9
        for part in parts(indicator)
    )


class Budgeting(StrEnum):
    """OpenSLO's `budgetingMethod`."""

    OCCURRENCES = "Occurrences"
    """Good events of all events."""
    TIMESLICES = "Timeslices"
    """Good slices of all slices that saw an event; a slice is good when its own share meets a target."""
    RATIO_TIMESLICES = "RatioTimeslices"
    """Mean over slices of the share of good events."""


@dataclass(frozen=True, slots=True)
class Slicing:
    """How time is cut. Slices count from the instant the first judged request was due."""

    method: Budgeting
    window_s: int
    target: float | None
    """`timeSliceTarget`; None for RatioTimeslices."""


@dataclass(frozen=True, slots=True)
class Objective:
    """One objective of one SLO, before it is split into groups."""

    name: str
    display_name: str
    service: str
    indicator: Indicator
    target: float
    """Share of good events that is promised, in [0, 1)."""
    group_by: tuple[str, ...]
    critical: bool
    confidence: float
    """One-sided confidence of each bound, in (0.5, 1)."""
    path: str
    """SLO file, relative to the SLO folder."""
    line: int
    slicing: Slicing | None = None
    """None: Occurrences."""
    expect: tuple[str, ...] = ()
    """Values of the first group label that must show up when no ledger foretells them."""
    window_s: int = 30 * 86_400
    """Window of the budget, for burn rates."""

    @property
    def budget(self) -> float:
        """Share of events that may be bad."""
        return 1.0 - self.target

    @property
    def is_census(self) -> bool:
        """A census counts every event there is, so that no interval is needed."""
        return isinstance(self.indicator, Completeness | Scalar)

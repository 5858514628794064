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
class Ratio:
    """Bad: an event of the population that meets all of `bad`."""

    population: Population
    bad: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Completeness:
    """Good: an expected trace that shows a span of every required role. A census, both books."""

    require: tuple[Role, ...]
    where: tuple[Condition, ...] = ()
    """Conditions on the ledger row."""


Indicator = Threshold | Ratio | Completeness


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

    @property
    def budget(self) -> float:
        """Share of events that may be bad."""
        return 1.0 - self.target

    @property
    def is_census(self) -> bool:
        """A census counts every event there is, so that no interval is needed."""
        return isinstance(self.indicator, Completeness)

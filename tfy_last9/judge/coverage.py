"""What Last9 does not show may be what is bad: a verdict on its spans needs to have seen enough of them.

A completeness objective that is critical says so itself. Without one, a gate on the spans of the few
traces that arrived would pass by survivorship. Sampling that the scenario declares takes good and bad
alike, so that it hides nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tfy_last9.judge import phrases
from tfy_last9.model.objective import Book, Completeness, Objective, Scalar, parts
from tfy_last9.model.verdict import EXIT_CODES, SEVERITY, Accounting, State, Verdict

ASKED_BY = "missing_traces"
"""The run number that asks for completeness just as a completeness objective does."""


def covered(verdict: Verdict, objectives: Sequence[Objective], found: Accounting) -> Verdict:
    """Return `verdict`, or NO_DATA where it would pass although unseen traces could break a budget."""
    if SEVERITY[verdict.state] >= SEVERITY[State.NO_DATA] or not found.expected_traces:
        return verdict
    critical = [objective for objective in objectives if objective.critical]
    if any(_asks_for_all(objective) for objective in critical):
        return verdict
    exported = found.expected_traces * (1.0 if found.sampling is None else found.sampling)
    unseen = max(0.0, 1.0 - found.complete / exported)
    blind = [item for item in critical if _on_spans(item) and unseen > phrases.budget(item)]
    if not blind:
        return verdict
    strictest = min(blind, key=phrases.budget)
    return replace(
        verdict,
        state=State.NO_DATA,
        exit_code=EXIT_CODES[State.NO_DATA],
        reason=(
            f"Last9 does not show {phrases.percent(unseen)} of the expected traces, and what it does not"
            f" show may be what is bad: {strictest.name} allows {phrases.percent(phrases.budget(strictest))}"
        ),
        reason_code="uncovered",
    )


def _asks_for_all(objective: Objective) -> bool:
    return any(
        isinstance(part, Completeness) or (isinstance(part, Scalar) and part.name == ASKED_BY)
        for part in parts(objective.indicator)
    )


def _on_spans(objective: Objective) -> bool:
    return any(
        not isinstance(part, Completeness | Scalar) and part.population.book is Book.LAST9
        for part in parts(objective.indicator)
    )

"""When Last9 counts instead of handing out every span, and what it counted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tfy_last9.adapters.last9.counting import Counting, is_countable
from tfy_last9.adapters.last9.settings import Last9Settings
from tfy_last9.adapters.last9.survey import Survey
from tfy_last9.adapters.runfolder.counted import needs_every_trace
from tfy_last9.errors import TfyError
from tfy_last9.model.objective import Completeness, Objective
from tfy_last9.model.run import Counted, Manifest, Sample, Window
from tfy_last9.stats.binomial import required_n

LEAST_SAMPLED = 300
MOST_SAMPLED = 3000
"""Traces per provider."""
_ONE_BAD = 1
_SHARED = (
    "others sent requests through this gateway, or not every request of the run carries its id, so Last9"
    " was not asked to count: calls are judged on the sampled traces alone"
)
_BY_TIME = "calls were counted by time: one around the second in which the warm-up ended may be on the other side"
_NS_PER_S = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Choice:
    """How to gather the evidence, and what there is to say about it."""

    sample: Sample | None
    """None: fetch every span."""
    note: str | None = None


def choose(
    settings: Last9Settings,
    survey: Survey,
    objectives: Sequence[Objective],
    manifest: Manifest,
) -> Choice:
    """Return rows while they are few enough; counts beyond that where they can be trusted."""
    if settings.strategy == "rows":
        return Choice(None)
    if settings.strategy == "auto" and survey.rows <= settings.rows_max:
        return Choice(None)
    whole = [objective.name for objective in objectives if needs_every_trace(objective)]
    if whole:
        return Choice(
            None, f"every span is fetched, because {', '.join(whole)} cannot be judged by counts"
        )
    if judged_window(manifest) is None:
        return Choice(None, "every span is fetched, because the judged phases are not in one piece")
    return Choice(Sample(manifest.scenario.seed, sample_size(objectives)))


def sample_size(objectives: Sequence[Objective]) -> int:
    """Return how many traces per provider to look up, so that one missing trace still allows a PASS."""
    needed = [
        required_n(objective.budget, _ONE_BAD, 1.0 - objective.confidence)
        for objective in objectives
        if isinstance(objective.indicator, Completeness) and objective.budget > 0
    ]
    return max(LEAST_SAMPLED, min(MOST_SAMPLED, max(needed, default=LEAST_SAMPLED)))


def judged_window(manifest: Manifest) -> Window | None:
    """Return the time of the judged phases in whole seconds; None where a warm-up interrupts them."""
    if manifest.start_ns is None or manifest.end_ns is None:
        return None
    flags = [phase.judged for phase in manifest.scenario.phases]
    first = flags.index(True)
    if not all(flags[first:]):
        return None
    warm_up_s = sum(phase.duration_s for phase in manifest.scenario.phases[:first])
    start_s = math.ceil(manifest.start_ns / _NS_PER_S + warm_up_s)
    end_s = math.ceil(manifest.end_ns / _NS_PER_S) + 1
    return Window(start_s * _NS_PER_S, end_s * _NS_PER_S)


def count(
    counting: Counting, objectives: Sequence[Objective], manifest: Manifest
) -> tuple[tuple[Counted, ...], tuple[str, ...]]:
    """Return what Last9 counted, and warnings; without counts the sample alone is judged."""
    judged = judged_window(manifest)
    if judged is None or not any(is_countable(objective) for objective in objectives):
        return (), ()
    try:
        if not counting.is_exclusive(manifest.run_id, judged):
            return (), (_SHARED,)
        counts = counting.objectives(objectives, judged)
    except TfyError as error:
        return (), (
            f"Last9 could not count, so the sampled traces alone are judged: {error.message}",
        )
    return counts, (_BY_TIME,)

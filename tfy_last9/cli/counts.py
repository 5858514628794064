"""When Last9 counts instead of handing out every span, and what it counted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tfy_last9.adapters.last9.counting import Counting, is_countable
from tfy_last9.adapters.last9.settings import Last9Settings
from tfy_last9.adapters.last9.source import Last9Source
from tfy_last9.adapters.last9.survey import Survey
from tfy_last9.adapters.runfolder.counted import needs_every_trace
from tfy_last9.adapters.runfolder.warmup import WarmUp, judged_calls, warm_up
from tfy_last9.errors import HarnessError, TfyError
from tfy_last9.model.objective import Completeness, Objective
from tfy_last9.model.run import Counted, Manifest, Sample, Window
from tfy_last9.model.trace import Span
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
_GAVE_UP = (
    "{n} requests of the warm-up were given up by the client: a call that the gateway began for them later"
    " is counted with the judged ones"
)
_NS_PER_S = 1_000_000_000
_PAD_S = 1
"""Clocks of worker and gateway may differ a little."""
_LONGEST_EDGE_S = 120
"""Around the end of the warm-up calls are read one by one, for at most so long."""


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
    if judged_since_ns(manifest) is None:
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


def judged_since_ns(manifest: Manifest) -> int | None:
    """Return when the judged phases began; None where a warm-up interrupts them, or before a start."""
    if manifest.start_ns is None or manifest.end_ns is None:
        return None
    flags = [phase.judged for phase in manifest.scenario.phases]
    first = flags.index(True)
    if not all(flags[first:]):
        return None
    warm_up_s = sum(phase.duration_s for phase in manifest.scenario.phases[:first])
    return manifest.start_ns + round(warm_up_s * _NS_PER_S)


@dataclass(frozen=True, slots=True)
class Parts:
    """The judged time, in whole seconds: what is read span by span, and what Last9 counts."""

    edge: Window | None
    """Around the end of the warm-up, where its calls and judged ones mix."""
    counted: Window
    warnings: tuple[str, ...] = ()

    @property
    def whole(self) -> Window:
        """Both together."""
        first = self.counted if self.edge is None else self.edge
        return Window(first.start_ns, self.counted.end_ns)


def parts(since_ns: int, end_ns: int, warm: WarmUp) -> Parts:
    """Split the judged time so that every counted second holds judged calls only.

    Calls are told apart by request up to the second in which the last request of the warm-up ended. Should
    that take too long, the second in which the warm-up ended decides, and a warning says so.
    """
    first_s, last_s = since_ns // _NS_PER_S, -(-end_ns // _NS_PER_S) + 1
    if warm.last_ns is None:
        return Parts(None, _seconds(first_s - 1, last_s))
    clear_s = max(first_s, warm.last_ns // _NS_PER_S) + 1 + _PAD_S
    if clear_s - first_s > _LONGEST_EDGE_S or clear_s >= last_s:
        return Parts(None, _seconds(-(-since_ns // _NS_PER_S), last_s), (_BY_TIME,))
    given_up = (_GAVE_UP.format(n=warm.given_up),) if warm.given_up else ()
    return Parts(_seconds(first_s - _PAD_S, clear_s), _seconds(clear_s, last_s), given_up)


def _seconds(start_s: int, end_s: int) -> Window:
    return Window(start_s * _NS_PER_S, end_s * _NS_PER_S)


def count(
    counting: Counting,
    source: Last9Source,
    ledger: Path,
    objectives: Sequence[Objective],
    manifest: Manifest,
) -> tuple[tuple[Counted, ...], tuple[str, ...]]:
    """Return what Last9 counted, and warnings; without counts the sample alone is judged."""
    since_ns, end_ns = judged_since_ns(manifest), manifest.end_ns
    if since_ns is None or end_ns is None or not any(map(is_countable, objectives)):
        return (), ()
    phases = manifest.scenario.judged_phases
    split = parts(since_ns, end_ns, warm_up(ledger, phases))
    try:
        if not counting.is_exclusive(manifest.run_id, split.whole):
            return (), (_SHARED,)
        spans = _read(source, split.edge)
        calls = judged_calls(ledger, phases, spans, since_ns) if spans else ()
        return counting.objectives(objectives, split.counted, calls), split.warnings
    except TfyError as error:
        return (), (
            f"Last9 could not count, so the sampled traces alone are judged: {error.message}",
        )


def _read(source: Last9Source, edge: Window | None) -> Sequence[Span]:
    """Read the spans around the end of the warm-up, all of them or none."""
    if edge is None:
        return ()
    page = source.spans(edge)
    if page.truncated or page.problems:
        raise HarnessError("the spans around the end of the warm-up could not all be read")
    return page.spans

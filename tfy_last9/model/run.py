"""What a run folder says about itself: the manifest (`run.json`) and the evidence record (`evidence.json`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tfy_last9.model.scenario import Scenario
from tfy_last9.model.verdict import EarlierLook, Group

MANIFEST_SCHEMA = 1
EVIDENCE_SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Window:
    """A half-open stretch of time, UTC nanoseconds: `start_ns <= t < end_ns`."""

    start_ns: int
    end_ns: int


@dataclass(frozen=True, slots=True)
class WorkerFacts:
    """What one Locust worker reported when it drained."""

    worker: int
    epoch_ns: int
    rows: int
    """Ledger rows that the worker says it wrote; fewer on disk means loss."""
    drained: bool
    """False when the worker vanished, or not everything it sent reached the master's disk."""
    host: str | None = None
    """Host name of the worker; None in run folders of older versions."""
    offered: int = 0
    """Arrivals of its share up to the end, as far as it could tell the master."""
    gaps: int = 0
    """Batches that are known to exist and never arrived."""
    resent: int = 0
    """Batches that were sent more than once before they were acknowledged."""
    clock_offset_ns: int | None = None
    """Its wall clock minus the master's; already corrected in `epoch_ns`. None: it is the master's own."""
    clock_uncertainty_ns: int | None = None
    """The offset is known to plus or minus this much: half the fastest round trip."""
    clock_drift_ns: int | None = None
    """How far the two clocks moved apart during the run."""

    @property
    def title(self) -> str:
        """Return what the worker is called in messages."""
        return f"{self.worker} on {self.host}" if self.host else str(self.worker)


@dataclass(frozen=True, slots=True)
class StoppedTarget:
    """A target that was taken out of the run because it kept refusing requests."""

    target: str
    status: int | None
    message: str
    skipped: int
    """Arrivals that were not sent because of it."""


@dataclass(frozen=True, slots=True)
class Proven:
    """A claim that was proven to fail while the load ran."""

    objective: str
    group: Group
    log_e: float


@dataclass(frozen=True, slots=True)
class EarlyStop:
    """Why the load was ended before its schedule, by the gate itself."""

    message: str
    requests_saved: int
    tokens_saved: int
    """Estimated from the tokens of the requests that were sent."""
    proven: tuple[Proven, ...] = ()
    """What ended the load, if a failure did; never taken back."""


@dataclass(frozen=True, slots=True)
class EarlierCounts:
    """What earlier looks counted of one objective in one group."""

    objective: str
    group: Group
    total: int
    bad: int
    excluded: int
    turned_away: int
    design_effect: float


@dataclass(frozen=True, slots=True)
class Retry:
    """What a run remembers of the undecided runs that it repeats."""

    runs: tuple[EarlierLook, ...]
    """Oldest first."""
    counts: tuple[EarlierCounts, ...]
    """Of all of them together."""


@dataclass(frozen=True, slots=True)
class Calls:
    """Calls of one provider's models, as Last9 counted them."""

    provider: str
    total: int


@dataclass(frozen=True, slots=True)
class LastWeek:
    """Who answered in the same window a week before: whom production should show again."""

    window: Window
    calls: tuple[Calls, ...]


@dataclass(frozen=True, slots=True)
class Baseline:
    """The run that another one is compared with; it was looked for before any load."""

    asked: str
    """As on the command line."""
    run_id: str | None
    """Its ledger is in `baseline/` of the run folder; None: there was none."""
    why: str = ""
    """Why there was none."""


@dataclass(frozen=True, slots=True)
class Spending:
    """What a run under a budget spent, without its preflight; summed over workers."""

    usd: float
    """As reported by answers, or their tokens times the target's price."""
    tokens: int
    reserved_usd: float
    """Worst case of answers that told no cost."""
    reserved_tokens: int
    is_spent: bool
    """True when the budget ended the run."""


@dataclass(frozen=True, slots=True)
class Counters:
    """Requests of the run, counted from the ledger and the plan."""

    offered: int
    """Arrivals the schedule planned up to the end of the run."""
    started: int
    missed: int
    finished: int
    unreported: int
    """Offered, but no row arrived: a worker was lost, or the run broke off."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """`run.json`. Workers and counters are empty until the ledger is sealed."""

    run_id: str
    created_ns: int
    scenario: Scenario
    versions: Mapping[str, str]
    digests: Mapping[str, str]
    gateway_url: str
    sandbox: bool
    client_only: bool
    faults: tuple[str, ...]
    expected_workers: int
    start_ns: int | None = None
    """UTC instant of schedule zero; None if the load never started."""
    end_ns: int | None = None
    """UTC instant of the last finish."""
    ended: str | None = None
    """`schedule` (ran to its end), `stopped` (early, on request), `interrupted`, `unsettled` (whole, but
    interrupted while waiting for traces), or None: broke off."""
    workers: tuple[WorkerFacts, ...] = ()
    counters: Counters | None = None
    stopped_targets: tuple[StoppedTarget, ...] = ()
    problems: tuple[str, ...] = ()
    """Mishaps of the harness during the run, in words: each makes the run ERROR."""
    live: bool = False
    """Production was looked at: the ledger is made of root spans, and no client recorded anything."""
    early_stop: EarlyStop | None = None
    last_week: LastWeek | None = None
    """Production mode, where no annotation says whom to expect; None where nobody asked."""
    retry: Retry | None = None
    """None for a first look."""
    baseline: Baseline | None = None
    """None: the run is judged alone."""
    spending: Spending | None = None
    """None without a budget."""
    schema: int = MANIFEST_SCHEMA


@dataclass(frozen=True, slots=True)
class SettlePoint:
    """One look at Last9 while waiting: how many expected traces were complete."""

    at_ns: int
    expected: int
    complete: int


@dataclass(frozen=True, slots=True)
class Counted:
    """Calls of a model as Last9 counted them, for one objective and group."""

    objective: str
    group: tuple[str, ...]
    """Values of the objective's `groupBy`."""
    total: int
    bad: int
    excluded: int


@dataclass(frozen=True, slots=True)
class Sample:
    """Which expected traces were looked up: a function of seed and ledger."""

    seed: int
    per_provider: int


@dataclass(frozen=True, slots=True)
class Look:
    """A look at everything in a window: what it did not show was not visible then."""

    window: Window
    asked_ns: int
    roots_only: bool
    """True where it proves absence only for roots that carry the run id."""


@dataclass(frozen=True, slots=True)
class LostTrace:
    """An expected trace of which Last9 shows nothing."""

    request_id: str
    trace_id: str | None
    """As the response named it; None where it named none."""


@dataclass(frozen=True, slots=True)
class SecondOracle:
    """What TrueFoundry's own storage said about traces that Last9 does not show."""

    asked: tuple[str, ...]
    """Request ids of the lost traces that were asked for: at most the first 2,000."""
    found: tuple[str, ...]
    """Of these, the ones whose trace is there: lost between the gateway's export and Last9."""
    error: str | None = None
    """Why it said nothing."""


@dataclass(frozen=True, slots=True)
class Collection:
    """One time that the evidence was fetched."""

    at_ns: int
    expected: int
    complete: int
    spans: int
    """Of the run, as saved."""
    queries: int
    bytes_fetched: int
    error: str | None


@dataclass(frozen=True, slots=True)
class EvidenceRecord:
    """`evidence.json`: how the spans were fetched, and whether that can be trusted."""

    strategy: str
    """`rows`: every span was fetched. `counts`: Last9 counted, and a sample of traces was looked up.
    `none`: Last9 was not asked."""
    window: Window | None
    region: str | None
    organisation: str | None
    cluster: str | None
    link_base: str | None
    """`https://<host>/v2/organizations/<org>/` or None where there is no page to link to."""
    queries: int
    rows_fetched: int
    bytes_fetched: int
    truncated: tuple[Window, ...]
    """Slices whose answer was full even at one second: the evidence is incomplete there."""
    late_after_s: float
    deadline_s: float
    settled: bool
    """True when every expected trace showed its required spans before the deadline."""
    history: tuple[SettlePoint, ...] = field(default=())
    problems: tuple[str, ...] = ()
    """Spans that could not be read: evidence that cannot be trusted."""
    error: str | None = None
    """Why the evidence could not be fetched at all; None when it was."""
    warnings: tuple[str, ...] = ()
    """What is known less well than usual, in words; shown, and no reason to doubt the evidence."""
    reach: str = "window"
    """`window`: every span of the gateway in the time of the run; `traces`: the run's traces by id."""
    looks: tuple[Look, ...] = ()
    """The last look at everything of each collection, oldest first; a later collection starts from them."""
    collections: tuple[Collection, ...] = ()
    """Every time that the evidence was fetched, oldest first."""
    counts: tuple[Counted, ...] = ()
    """Of the strategy `counts`, for the objectives that Last9 can count."""
    sample: Sample | None = None
    """Of the strategy `counts`; None where every expected trace was looked for."""
    service: str = "tfy-llm-gateway"
    """`service.name` of the gateway's spans, as asked for."""
    contents: str = ""
    """How prompts and completions were kept out, in words."""
    oracle: SecondOracle | None = None
    """None where nothing was lost, or no second place could be asked."""
    schema: int = EVIDENCE_SCHEMA

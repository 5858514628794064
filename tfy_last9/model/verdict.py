"""The verdict: findings per objective and group, and how they fold into one answer.

PASS means proven good enough, not "not proven bad". Order from best to worst:
PASS = INFO < WARN < INCONCLUSIVE < NO_DATA < ERROR < FAIL. A run-level ERROR (invalid run, truncated
evidence, lost worker) overrides everything: objectives are then shown, not judged.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from tfy_last9.errors import ExitCode
from tfy_last9.model.contract import ContractGap


class State(StrEnum):
    """State of a finding or of a run."""

    PASS = "PASS"  # noqa: S105 - a verdict, not a password
    INFO = "INFO"
    NOT_CONFIGURED = "NOT_CONFIGURED"
    """The objective needs Last9 and the run was asked to do without (`--client-only`)."""
    WARN = "WARN"
    INCONCLUSIVE = "INCONCLUSIVE"
    NO_DATA = "NO_DATA"
    ERROR = "ERROR"
    FAIL = "FAIL"


SEVERITY: dict[State, int] = {
    State.PASS: 0,
    State.INFO: 0,
    State.NOT_CONFIGURED: 0,
    State.WARN: 1,
    State.INCONCLUSIVE: 2,
    State.NO_DATA: 3,
    State.ERROR: 4,
    State.FAIL: 5,
}

EXIT_CODES: dict[State, ExitCode] = {
    State.PASS: ExitCode.PASS,
    State.INFO: ExitCode.PASS,
    State.NOT_CONFIGURED: ExitCode.PASS,
    State.WARN: ExitCode.PASS,
    State.INCONCLUSIVE: ExitCode.INCONCLUSIVE,
    State.NO_DATA: ExitCode.NO_DATA,
    State.ERROR: ExitCode.ERROR,
    State.FAIL: ExitCode.FAIL,
}

Group = tuple[tuple[str, str], ...]
"""Label and value pairs, for example `(("provider", "openai"),)`; empty for an ungrouped objective."""


def group_text(group: Group) -> str:
    """Return the group as people read it: `openai`, or `openai / canary`; `all` when ungrouped."""
    return " / ".join(value for _, value in group) or "all"


@dataclass(frozen=True, slots=True)
class Quantile:
    """A percentile with its order-statistic interval. Bounds are None where n is too small for one."""

    p: float
    value: float
    low: float | None
    high: float | None
    unit: str


@dataclass(frozen=True, slots=True)
class Exemplar:
    """One request or trace that shows what a finding is about."""

    request_id: str | None
    trace_id: str | None
    value: float | None
    """In the objective's unit; None when the finding is not about a value."""
    detail: str
    """Short: an outcome, a status, "missing", "no model span"."""


@dataclass(frozen=True, slots=True)
class Burn:
    """What one member of a composite objective counted."""

    name: str
    weight: float
    budget: float
    total: int
    bad: int


@dataclass(frozen=True, slots=True)
class Slices:
    """Bad events in whole slices of consecutive events: what shows that they come in bursts."""

    size: int
    """Events per slice."""
    count: int
    bad: int
    bad_squares: int
    """Sum over slices of the square of their bad events."""


@dataclass(frozen=True, slots=True)
class Limited:
    """A target with a quota, and how many of its judged requests were turned away as too many."""

    target: str
    turned_away: int
    total: int


@dataclass(frozen=True, slots=True)
class Tally:
    """Counts of one objective in one group: all that judging needs."""

    group: Group
    expected: bool
    """True when the ledger sent traffic to this group, so that silence is NO_DATA and not absence."""
    total: int
    bad: int
    excluded: int
    """Events that carry no claim (a request refused with an error has no latency); shown, not judged."""
    quantile: Quantile | None
    exemplars: tuple[Exemplar, ...]
    slices: Slices | None = None
    """None where bursts cannot matter: nothing bad, or a census."""
    scalar: float | None = None
    """The number of a `Scalar` objective; None where nothing was there to add up."""
    unknown: int = 0
    """Events of a scalar that owe a value and have none: the sum is only a lower bound."""
    mean_bad: float | None = None
    """RatioTimeslices: mean over slices of the share of bad events."""
    burns: tuple[Burn, ...] = ()
    """Composite by Occurrences: what each member counted."""
    inapplicable: int = 0
    """Of the excluded: events that cannot have the value by their kind (a first token of an embedding)."""
    limited: tuple[Limited, ...] = ()
    """Targets of the group that have a quota and were rate-limited."""
    population: int | None = None
    """Of how many events `total` is a random sample without replacement; None for all there are."""
    unseen: int = 0
    """Of `bad`, for completeness: traces of which Last9 shows nothing at all."""
    turned_away: int = 0
    """Of `excluded`: events that failed before they could have a value."""
    earlier: int = 0
    """Of `total`: events of earlier looks that this run repeats."""
    least_effect: float = 1.0
    """Design effect of those events; that of the whole is at least as great."""
    may_be_silent: bool = False
    """A standby's group: there because it was used, and undecided is no news of it."""


@dataclass(frozen=True, slots=True)
class Portion:
    """How much of the bad events, or of the lost time, one thing explains."""

    name: str
    share: float
    bad_ms: float | None = None
    """Mean time in this stage of bad requests; None where stages are counted and not timed."""
    good_ms: float | None = None
    """The same of good requests: of the group, or of all groups where it has too few."""


@dataclass(frozen=True, slots=True)
class Lift:
    """A label value that bad events have in common, beyond chance."""

    label: str
    value: str
    bad: int
    total: int
    factor: float
    """At least so many times as often bad as without it, all bounds together at the objective's confidence."""


@dataclass(frozen=True, slots=True)
class Why:
    """What is known about the cause of a finding that is not PASS."""

    where: tuple[tuple[str, tuple[Portion, ...]], ...]
    """Per label (provider, model, route, seen) the commonest values among bad events."""
    stages: tuple[Portion, ...]
    """queue, gateway, provider wait, streaming: largest share first; shares of what is explained add up to 1."""
    first_bad_minute: int | None
    """First minute after the first judged request in which more was bad than the budget allows."""
    lifts: tuple[Lift, ...]


@dataclass(frozen=True, slots=True)
class BurnRate:
    """How fast live traffic burns the budget: 1 spends exactly all of it in the SLO's window."""

    long_s: int
    short_s: int
    factor: float
    """Above it in both windows an alert is due."""
    long_rate: float
    short_rate: float
    is_exceeded: bool


@dataclass(frozen=True, slots=True)
class Finding:
    """What is said about one objective in one group."""

    objective: str
    group: Group
    state: State
    critical: bool
    book: str
    claim: str
    """The promise in words: "p95 time to first token <= 1500 ms"."""
    message: str
    """One sentence: what was observed, how sure, against which budget."""
    total: int
    bad: int
    excluded: int
    budget: float
    confidence: float | None
    """None for a census."""
    bad_low: float | None
    """Lower bound of the bad share; None without data or for a census."""
    bad_high: float | None
    quantile: Quantile | None
    requests_needed: int | None
    """More good requests that would decide it, for INCONCLUSIVE."""
    exemplars: tuple[Exemplar, ...]
    path: str
    line: int
    design_effect: float = 1.0
    """So many correlated events count as one (1: independent); see `stats.effect`."""
    p_fail: float | None = None
    """Chance of so many bad events if the budget were kept; None without data or for a census."""
    p_fail_adjusted: float | None = None
    """The same after Holm's adjustment over all critical findings: a FAIL needs it below 1 - confidence."""
    measured: str | None = None
    """What was measured where counts do not say it: a number of the run, a burn, a mean over slices."""
    why: Why | None = None
    """None for PASS, and where nothing bad was seen."""
    burn_rates: tuple[BurnRate, ...] = ()
    """Production mode: for the windows that fit what was fetched."""


@dataclass(frozen=True, slots=True)
class LossPart:
    """Losses of one provider, minute, worker, ..."""

    value: str
    late: int
    lost: int
    conflicts: int
    unreported: int


@dataclass(frozen=True, slots=True)
class LossSplit:
    """All losses of a run, split one way; the parts add up to the sums of the accounting."""

    by: str
    parts: tuple[LossPart, ...]


@dataclass(frozen=True, slots=True)
class Accounting:
    """Where every intended request and every expected trace went; the sums must add up.

    intended = missed + unsent + refused + unanswered + answered + unreported;
    expected = joined + late + lost + conflicts, where `joined` is on time and complete or not.
    """

    intended: int
    missed: int
    unsent: int
    """Never written: connect errors and aborts before sending."""
    refused: int
    """`rejected_*`."""
    unanswered: int
    """Timeouts, broken streams and aborts after sending."""
    answered: int
    """`ok`, `http_error`, `provider_error`."""
    unreported: int
    """Planned, but no row arrived from the worker."""
    expected_traces: int
    joined: int
    late: int
    lost: int
    conflicts: int
    complete: int
    """Of joined and late: traces showing all spans that settling asked for."""
    optional_found: int
    """Traces of refused requests that were found although none was expected."""
    join_paths: tuple[tuple[str, int], ...]
    lag: Quantile | None
    """Time from the client's finish to first sight in Last9, p95, seconds; an upper bound set by polling."""
    lag_p50_s: float | None
    lag_max_s: float | None
    strategy: str = "rows"
    """How the evidence was gathered; `counts`: the traces above are a random sample."""
    population: int | None = None
    """Of how many expected traces they are a sample; None for all."""
    sampling: float | None = None
    """Share of traces that the scenario says are kept; None where all are expected."""
    lag_steps: tuple[tuple[float, int], ...] = ()
    """Seconds, and how many expected traces are known to have been visible by then."""
    loss_profile: tuple[tuple[int, int], ...] = ()
    """Expected and lost traces per tenth of the run, in order of finish; empty without losses."""
    losses: tuple[LossSplit, ...] = ()
    """Where traces were late, lost or in conflict, and which requests nobody reported."""
    absent_roles: tuple[tuple[str, int], ...] = ()
    """Expected traces that arrived without a span of this role."""


@dataclass(frozen=True, slots=True)
class Validity:
    """Facts that decide whether the run measured the system or only itself."""

    offered: int
    started: int
    missed: int
    finished: int
    unreported: int
    start_lag_p99_ms: float | None
    hub_lag_p99_ms: float | None
    problems: tuple[str, ...]
    """Reasons why nothing may be concluded; empty for a valid run."""
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EarlierLook:
    """The answer of a run that was repeated because it was undecided."""

    run_id: str
    state: str
    reason: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer of a run: a pure function of its folder."""

    run_id: str
    scenario: str
    state: State
    exit_code: int
    reason: str
    """First line of every report: what broke, where, by how much."""
    reason_code: str
    """Stable and short: `passed`, `objective_failed`, `no_data`, `incomplete`, `truncated`, ..."""
    findings: tuple[Finding, ...]
    accounting: Accounting
    validity: Validity
    next_steps: tuple[str, ...]
    contract: tuple[ContractGap, ...] = ()
    """Attributes that spans of the run owe and lack, largest share first. They decide nothing by themselves:
    an SLO with `has:` makes them count."""
    earlier_looks: tuple[EarlierLook, ...] = ()
    """Runs that this one repeats because they were undecided, oldest first."""

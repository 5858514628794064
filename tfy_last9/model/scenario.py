"""A scenario: what traffic to send, resolved from its file. Durations are seconds, rates per second."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from tfy_last9.model.check import Check, Quota
from tfy_last9.model.conversation import (
    FollowUp,
    Image,
    McpScript,
    Sessions,
    ToolCall,
    ToolResult,
)
from tfy_last9.model.price import Price


class Api(StrEnum):
    """Wire protocol of a target."""

    CHAT = "chat"
    RESPONSES = "responses"
    MESSAGES = "messages"
    GEMINI = "gemini"
    EMBEDDINGS = "embeddings"
    MCP = "mcp"
    HTTP = "http"
    """Any other JSON endpoint of the gateway: rerank, moderations, images, audio."""


CONVERSATIONAL = frozenset({Api.CHAT, Api.RESPONSES, Api.MESSAGES, Api.GEMINI})
"""Protocols whose prompts may have further turns, and whose answers are text that may be streamed."""


class Driver(StrEnum):
    """Client that sends the requests."""

    STREAM = "stream"
    """The fast path: kernel timestamps where available, no object per chunk."""
    OPENAI = "openai"
    """The openai SDK with retries off: the reference, slower by design."""


class ArrivalKind(StrEnum):
    """What decides when requests are due."""

    CONSTANT = "constant"
    POISSON = "poisson"
    RAMP = "ramp"
    STEPS = "steps"
    SPIKE = "spike"
    SINE = "sine"
    REPLAY = "replay"
    CLOSED = "closed"
    """No schedule: each user asks again when its answer is complete."""


class Cache(StrEnum):
    """What prompt caches may do to a run."""

    AS_IS = "as-is"
    """Prompts go out as they are written."""
    COLD = "cold"
    """A nonce of equal length opens every prompt, so that no cache knows it."""
    WARM = "warm"
    """Prompts go out as they are written, after a phase that is not judged has shown them to the caches."""


class OnInconclusive(StrEnum):
    """What an undecided critical objective does to the run."""

    FAIL = "fail"
    """Exit 21 (INCONCLUSIVE): the default, right for CI."""
    EXTEND = "extend"
    """Send on, up to `looks` stretches, until nothing is undecided; then as `fail`."""
    WARN = "warn"
    """The run is lowered to WARN at most: exit 0."""


@dataclass(frozen=True, slots=True)
class Target:
    """One destination of traffic behind the gateway."""

    name: str
    model: str
    """`account/model` or the name of a virtual model, as sent to the gateway."""
    provider: str | None
    """Canonical provider; None for a virtual target, which has no provider in the ledger."""
    may_reach: tuple[str, ...]
    """Canonical providers whose evidence is expected: `(provider,)` unless the target is virtual."""
    api: Api
    stream: bool
    weight: int
    max_tokens: int | None
    headers: Mapping[str, str]
    """Passed through verbatim."""
    body: Mapping[str, object]
    """Merged verbatim into the request body."""
    standby: tuple[str, ...] = ()
    """Canonical providers of a virtual target that are called only when others fail: they may stay silent."""
    path: str | None = None
    """Path below the gateway's address; None: where the gateway has the protocol by default."""
    prompt_key: str | None = None
    """`http`: key of the body that takes the prompt's text; None: the body is sent as it is written."""
    mcp: McpScript | None = None
    checks: tuple[Check, ...] = ()
    quota: Quota | None = None
    price: Price | None = None
    """None: not known, which is not nothing."""


@dataclass(frozen=True, slots=True)
class Arm:
    """One side of a comparison: the same traffic, sent somewhere else or in another way."""

    name: str
    gateway: str = "TFY_GATEWAY_URL"
    """Environment variable that holds the gateway's address."""
    key: str = "TFY_API_KEY"
    """Environment variable that holds the key."""
    models: Mapping[str, str] = field(default_factory=dict)
    """Target name to the `account/model` that this arm asks for in its place."""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, object] = field(default_factory=dict)
    served: str | None = None
    """What tells that this arm served a request; only with `by`."""

    def applied_to(self, target: Target) -> Target:
        """Return the target as this arm sends to it; the arm's headers and body win."""
        return replace(
            target,
            model=self.models.get(target.name, target.model),
            headers={**target.headers, **self.headers},
            body={**target.body, **self.body},
        )


@dataclass(frozen=True, slots=True)
class Margins:
    """How much worse than the baseline the canary may be and still count as no worse."""

    latency: float = 0.10
    """Ratio - 1 of typical latencies."""
    tail: float = 0.015
    """Difference of the shares of slow requests."""
    errors: float = 0.01
    """Difference of error rates."""


@dataclass(frozen=True, slots=True)
class Arms:
    """Baseline and canary, and what counts as worse."""

    baseline: Arm
    canary: Arm
    mirror: bool = False
    """True: every arrival goes to both arms at the same instant. Else each goes to one, at random."""
    margins: Margins = field(default_factory=Margins)
    confidence: float = 0.95
    by: str | None = None
    """`resolved_model` or a resource attribute: the gateway splits one stream of traffic. None: we send to both."""


@dataclass(frozen=True, slots=True)
class Message:
    """One chat message."""

    role: str
    content: str
    image: Image | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    tool_results: tuple[ToolResult, ...] = ()
    """What tools answered: such a message has the role `tool`."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """One conversation, chosen round robin by arrival number: its opening, and what follows."""

    messages: tuple[Message, ...]
    follow_ups: tuple[FollowUp, ...] = ()


@dataclass(frozen=True, slots=True)
class Knot:
    """A point of a rate curve; two at one time make a jump."""

    at_s: float
    """Since schedule zero."""
    rate_per_s: float


@dataclass(frozen=True, slots=True)
class Curve:
    """A rate over the whole schedule: straight between its knots."""

    knots: tuple[Knot, ...]
    even: bool
    """Evenly spaced arrivals; otherwise Poisson."""


@dataclass(frozen=True, slots=True)
class Phase:
    """A stretch of the schedule with one arrival rate."""

    name: str
    duration_s: float
    rate_per_s: float
    judged: bool
    """False for warm-up: it counts for completeness, not for latency or errors."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on the generator."""

    users: int
    """Greatest number of concurrent requests over all workers; an arrival beyond it is missed."""
    connect_s: float
    first_token_s: float
    idle_s: float
    """Longest silence between two reads once the first token arrived."""
    total_s: float
    usd: float | None = None
    """Most that the run may spend; None: no limit."""
    tokens: int | None = None
    """Most tokens, input and output; None: no limit."""
    stop_after_failures: int | None = None
    """A target is stopped when so many of its requests failed in a row; 0: never, None: the default."""


@dataclass(frozen=True, slots=True)
class Settle:
    """How long to wait for traces."""

    deadline_s: float
    """After the last finish; a trace unseen then is lost."""
    late_after_s: float
    """A trace first seen later than this after its request finished is late."""
    poll_s: float


@dataclass(frozen=True, slots=True)
class BaselinePolicy:
    """How `gate --baseline` compares a run with a stored one."""

    required: bool = True
    """False: a missing baseline is a WARN, and a proven difference too."""
    margins: Margins = field(default_factory=Margins)
    confidence: float = 0.95


@dataclass(frozen=True, slots=True)
class Policy:
    """Run-level policy of the verdict."""

    on_inconclusive: OnInconclusive
    early_stop: bool = False
    """End the load as soon as the client's evidence proves a FAIL, or proves everything good."""
    looks: int = 5
    """Planned looks of `on-inconclusive: extend`; each may use its share of the error."""
    retries: int = 0
    """Times that an undecided run may be repeated (`gate --retry-of`): further planned looks."""
    baseline: BaselinePolicy = field(default_factory=BaselinePolicy)


@dataclass(frozen=True, slots=True)
class Scenario:
    """Everything a run depends on besides credentials and SLO files."""

    name: str
    description: str
    driver: Driver
    seed: int
    arrivals: ArrivalKind
    targets: tuple[Target, ...]
    phases: tuple[Phase, ...]
    prompts: tuple[Prompt, ...]
    limits: Limits
    metadata: Mapping[str, str]
    """Extra labels sent in `x-tfy-metadata` (values up to 128 characters)."""
    settle: Settle
    policy: Policy
    arms: Arms | None = None
    cache: Cache = Cache.AS_IS
    sampling: float | None = None
    """Share of traces that reach Last9 by design, in (0, 1]; None: every trace is expected."""
    curve: Curve | None = None
    """Rate over the schedule of ramp, steps, spike and sine; the rates of phases then mean nothing."""
    offsets_s: tuple[float, ...] = ()
    """Due times of a replay."""
    think_s: float = 0.0
    """Closed loop: mean pause of a user between an answer and its next request."""
    think_even: bool = False
    """Every pause is the mean; otherwise they are exponential."""
    sessions: Sessions = field(default_factory=Sessions)

    @property
    def is_closed(self) -> bool:
        """Tell whether users decide when requests are sent, and not a schedule."""
        return self.arrivals is ArrivalKind.CLOSED

    @property
    def title(self) -> str:
        """Return the name, and where users decide when to send, that they do: every report shows it."""
        return (
            f"{self.name} (closed loop, {self.limits.users:,} users)"
            if self.is_closed
            else self.name
        )

    @property
    def is_shaped(self) -> bool:
        """Tell whether arrivals follow a curve or a file over the whole schedule."""
        return self.curve is not None or bool(self.offsets_s)

    @property
    def sides(self) -> tuple[Arm, ...]:
        """Baseline and canary in this order; empty without arms that are sent to."""
        return (
            ()
            if self.arms is None or self.arms.by is not None
            else (self.arms.baseline, self.arms.canary)
        )

    @property
    def judged_phases(self) -> tuple[str, ...]:
        """Names of the phases that objectives look at."""
        return tuple(phase.name for phase in self.phases if phase.judged)

    @property
    def duration_s(self) -> float:
        """Length of the whole schedule, warm-up included."""
        return sum(phase.duration_s for phase in self.phases)

"""What this Last9 is: its organisation and region, and the behaviours that are public unknowns.

Last9 does not document every behaviour of its traces API. Where it does not, there is a switch here,
its default is the reading that the evidence favours, and a client has to work under each setting.
Every field is a command-line flag of the same name (flags.py); docs/sandbox.md explains each.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

ORGANIZATION = "acme"
REGION = "ap-south-1"
DAY_S = 86_400


class Mode(Enum):
    """One row per matching span, or one per trace that has a matching span."""

    SPAN = "span"
    TRACE = "trace"


class NumericAttributes(Enum):
    """How numbers among span attributes come back; ClickHouse string maps suggest `string`."""

    STRING = "string"
    NUMBER = "number"


class GroupLimit(Enum):
    """Whether `limit` also cuts the rows of an aggregate."""

    APPLY = "apply"
    IGNORE = "ignore"


class GroupOrder(Enum):
    """Whether the rows of an aggregate come sorted by their groups."""

    SORTED = "sorted"
    SHUFFLED = "shuffled"


class AggregateShape(Enum):
    """Where an aggregate's row carries its numbers.

    `metric` is what Last9 saw its logs API answer (last9-mcp-server, count_sanity.go).
    """

    METRIC = "metric"
    VALUE = "value"
    FLAT = "flat"


class AggregateNumbers(Enum):
    """Whether the numbers of an aggregate are JSON numbers or text."""

    NUMBER = "number"
    STRING = "string"


class EmptyResult(Enum):
    """What stands for an answer without rows; Last9's own client accepts all three."""

    LIST = "list"
    NULL = "null"
    MISSING = "missing"


class WindowEnd(Enum):
    """Whether a span that starts exactly at `end` is inside the window."""

    EXCLUSIVE = "exclusive"
    INCLUSIVE = "inclusive"


class WindowStart(Enum):
    """Whether a span that starts exactly at `start` is inside the window."""

    INCLUSIVE = "inclusive"
    EXCLUSIVE = "exclusive"


class DefaultOrder(Enum):
    """Which end comes first when a query names no order."""

    NEWEST = "newest"
    OLDEST = "oldest"


class DottedFields(Enum):
    """Whether `attributes.x`, `resource.x` and their like are understood.

    The documentation shows `resource.`; the changelog of Last9's own client (last9-mcp-server 0.15.0)
    says that the API answers 400.
    """

    REJECT = "reject"
    ACCEPT = "accept"


class PlainFields(Enum):
    """Whether bare names of attributes (`tfy.span_type`) are understood, as the documentation says."""

    ACCEPT = "accept"
    REJECT = "reject"


class Select(Enum):
    """What a `select` stage does to span rows.

    `restrict` keeps the span object and drops the attributes that were not selected; `flat` answers
    the aliases alone; `ignore` changes nothing.
    """

    RESTRICT = "restrict"
    FLAT = "flat"
    IGNORE = "ignore"


class Timestamps(Enum):
    """How `Timestamp` is written; Last9's own client is prepared for all of these."""

    RFC3339 = "rfc3339"
    NAIVE = "naive"
    SPACE = "space"


class UnsetStatus(Enum):
    """What `StatusCode` holds for a span without a status."""

    NAME = "name"
    EMPTY = "empty"


class EventKeys(Enum):
    """Keys inside `Events` and `Links`: those of the ClickHouse schema, or those of OTLP/JSON."""

    CLICKHOUSE = "clickhouse"
    OTLP = "otlp"


class WrongRegion(Enum):
    """The answer to a region that is not the organisation's: 500 with a code, or 502 with HTML."""

    CODE = "code"
    MAINTENANCE = "maintenance"


class ErrorShape(Enum):
    """The JSON of an error: a text, a text beside `status`, or an object."""

    TEXT = "text"
    STATUS = "status"
    OBJECT = "object"


class RetryAfter(Enum):
    """How a 429 says when to come back."""

    SECONDS = "seconds"
    DATE = "date"
    ABSENT = "absent"


class OtlpErrors(Enum):
    """The body of a refused export: a `google.rpc.Status` as OTLP wants it, or plain text."""

    STATUS = "status"
    TEXT = "text"


class InvalidSpans(Enum):
    """Whether an export with some invalid spans is taken in part or refused as a whole."""

    PARTIAL = "partial"
    REFUSE = "refuse"


class Presence(Enum):
    """Whether something exists."""

    OFF = "off"
    ON = "on"


@dataclass(frozen=True, slots=True)
class Settings:
    """The identity of the stand-in and the state of its switches."""

    organization: str = ORGANIZATION
    region: str = REGION
    token_scopes: tuple[str, ...] = ("read", "write")
    """Scopes of the refresh token that is announced."""
    token_lifetime_s: int = DAY_S
    expired_status: int = 401
    bad_refresh_status: int = 401
    default_limit: int = 20
    """Rows when a query names no limit; Last9's own client falls back to 20."""
    max_limit: int = 5000
    """A larger limit is cut to this without a word; Last9's own client never asks for more."""
    default_mode: Mode = Mode.SPAN
    default_order: DefaultOrder = DefaultOrder.NEWEST
    window_start: WindowStart = WindowStart.INCLUSIVE
    window_end: WindowEnd = WindowEnd.EXCLUSIVE
    max_range_s: int = 0
    """A longer window is answered with 408, as a query that is too heavy; 0 means no limit."""
    numeric_attributes: NumericAttributes = NumericAttributes.STRING
    dotted_fields: DottedFields = DottedFields.REJECT
    plain_fields: PlainFields = PlainFields.ACCEPT
    select: Select = Select.RESTRICT
    timestamps: Timestamps = Timestamps.RFC3339
    unset_status: UnsetStatus = UnsetStatus.NAME
    event_keys: EventKeys = EventKeys.CLICKHOUSE
    group_limit: GroupLimit = GroupLimit.APPLY
    group_order: GroupOrder = GroupOrder.SORTED
    aggregate_shape: AggregateShape = AggregateShape.METRIC
    aggregate_numbers: AggregateNumbers = AggregateNumbers.NUMBER
    empty_result: EmptyResult = EmptyResult.LIST
    wrong_region: WrongRegion = WrongRegion.CODE
    error_shape: ErrorShape = ErrorShape.TEXT
    rate_limit_per_s: int = 0
    """API calls a second beyond which 429 is answered; 0 means no limit."""
    retry_after: RetryAfter = RetryAfter.SECONDS
    retention_s: int = 14 * DAY_S
    lag_ms: int = 0
    """From the acceptance of a span to its visibility."""
    spread_ms: int = 0
    """Spans of one trace become visible over this much time, each at a moment of its own."""
    drop_rules: tuple[str, ...] = ()
    """`FIELD=VALUE`: spans that match are accepted and not stored."""
    max_export_bytes: int = 64 << 20
    """Uncompressed; the largest collector batches in use are 15 000 spans, some 20 MB."""
    otlp_errors: OtlpErrors = OtlpErrors.STATUS
    invalid_spans: InvalidSpans = InvalidSpans.PARTIAL
    genai_metrics: Presence = Presence.OFF
    p99_quantile: Presence = Presence.OFF

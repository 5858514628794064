"""Switches of the exported trace: what section by section is not on public record about it."""

from __future__ import annotations

from enum import Enum


class AttributeSet(Enum):
    """TrueFoundry's attributes, those of OpenTelemetry's GenAI conventions beside them, or those alone."""

    TFY = "tfy"
    BOTH = "both"
    GENAI = "genai"


class MetadataEncoding(Enum):
    """How `tfy.request.metadata` is encoded: JSON text, OTLP key-value list, an attribute per key."""

    JSON = "json"
    KVLIST = "kvlist"
    FLAT = "flat"


class RetrySpans(Enum):
    """Whether a retry of the same target is a Model span of its own, or one more HTTP span."""

    MODEL = "model"
    HTTP = "http"


class TimeoutSpans(Enum):
    """Whether an attempt that ran into a 408 still shows its request to the provider."""

    HTTP = "http"
    MODEL = "model"


class RejectedSpans(Enum):
    """Whether a request that a limit refused has a Model span below its root."""

    ROOT = "root"
    MODEL = "model"


class BrokenRoot(Enum):
    """Status of the root whose stream broke after the first token."""

    ERROR = "error"
    OK = "ok"


class CacheHitTree(Enum):
    """Whether an answer from the cache has a Model span below its root."""

    ROOT = "root"
    MODEL = "model"


class SpanKinds(Enum):
    """Kinds of roots: SERVER, or INTERNAL like Model and Guardrail spans."""

    SERVER = "server"
    INTERNAL = "internal"


class StreamOutputGuardrails(Enum):
    """Whether output guardrails skip streams, or hold them back until they have seen all."""

    SKIP = "skip"
    BUFFER = "buffer"

"""The queries that this product sends to Last9. Golden files pin each of them (`tests/golden/last9`).

Filters on the service come first: Last9 accelerates them. How the request metadata is encoded on export is
not documented, so that a JSON text (or a map written as one) and flattened keys are both asked for.
"""

from __future__ import annotations

from collections.abc import Sequence

from tfy_last9.wire.last9 import METADATA
from tfy_last9.wire.last9_fields import (
    DURATION,
    PARENT_SPAN_ID,
    SERVICE_NAME,
    STATUS_CODE,
    TRACE_ID,
    AnyField,
    attribute,
)
from tfy_last9.wire.last9_filters import (
    Condition,
    above,
    all_of,
    any_of,
    at_least,
    at_most,
    below,
    contains,
    equals,
    equals_ignoring_case,
    exists,
    is_absent,
    mismatches,
    one_of,
)
from tfy_last9.wire.last9_pipeline import Pipeline, count, where
from tfy_last9.wire.span_identity import ERROR_MESSAGE, OWN_LIMITS

COUNT = "n"
"""Alias of every count."""
SPAN_TYPE = attribute("tfy.span_type")
PROVIDER_GROUPS: tuple[tuple[AnyField, str], ...] = (
    (attribute("tfy.model.fqn"), "fqn"),
    (attribute("tfy.model.name"), "model"),
    (attribute("gen_ai.provider.name"), "genai_provider"),
    (attribute("gen_ai.system"), "genai_system"),
    (STATUS_CODE, "status"),
)
"""What tells the provider of a Model span, most trustworthy first, and its status."""
_OWN_LIMIT = rf"^\s*({'|'.join(OWN_LIMITS)})"
COMPARISONS = {"lte": above, "lt": at_least, "gte": below, "gt": at_most}
"""A bad value misses what an objective's operator promises."""


def spans_of_service(service: str) -> Pipeline:
    """Return the query for every span of one service."""
    return where(all_of(equals(SERVICE_NAME, service)))


def spans_of_run(service: str, run_id: str) -> Pipeline:
    """Return the query for the spans of a service that carry a run id in their request metadata."""
    return where(all_of(equals(SERVICE_NAME, service), _labelled("run_id", run_id)))


def spans_of_requests(service: str, request_ids: Sequence[str]) -> Pipeline:
    """Return the query for the spans that carry one of these request ids."""
    named = (_labelled("request_id", request_id) for request_id in request_ids)
    return where(all_of(equals(SERVICE_NAME, service), any_of(*named)))


def spans_of_traces(service: str, trace_ids: Sequence[str]) -> Pipeline:
    """Return the query for the spans of a service in these traces."""
    return where(all_of(equals(SERVICE_NAME, service), one_of(TRACE_ID, trace_ids)))


def counted(pipeline: Pipeline) -> Pipeline:
    """Return the query that counts what another one would show."""
    return pipeline.aggregate([(count(), COUNT)])


def roots_counted(service: str, run_id: str | None) -> Pipeline:
    """Return the query that counts requests at the gateway: a run's, or everybody's with None.

    A request is a span without a parent, or with the model name that a client asked for: with a parent of
    the caller's, only the latter tells.
    """
    is_request = any_of(is_absent(PARENT_SPAN_ID), exists(attribute("tfy.request.model_name")))
    conditions = [equals(SERVICE_NAME, service), is_request]
    if run_id is not None:
        conditions.append(_labelled("run_id", run_id))
    return counted(where(all_of(*conditions)))


def model_spans(service: str) -> Pipeline:
    """Return the query for every call of a model; `LLM` is an older name of its type."""
    return where(all_of(*model_conditions(service)))


def model_spans_by_provider(service: str) -> Pipeline:
    """Return the query that counts calls of a model by provider and status."""
    return model_spans(service).aggregate([(count(), COUNT)], PROVIDER_GROUPS)


def slow_model_spans_by_provider(service: str, operator: str, limit_ns: float) -> Pipeline:
    """Return the query that counts calls that miss a limit of their duration, by provider and status."""
    miss = COMPARISONS[operator](DURATION, limit_ns)
    calls = where(all_of(*model_conditions(service), miss))
    return calls.aggregate([(count(), COUNT)], PROVIDER_GROUPS)


def model_conditions(service: str) -> tuple[Condition, ...]:
    """Return what tells a call of a model; the service comes first.

    A target that the gateway's own limit kept from being asked leaves a Model span, too: no provider's call.
    """
    is_model = any_of(
        equals_ignoring_case(SPAN_TYPE, "Model"), equals_ignoring_case(SPAN_TYPE, "LLM")
    )
    was_asked = mismatches(attribute(ERROR_MESSAGE), _OWN_LIMIT)
    return equals(SERVICE_NAME, service), is_model, was_asked


def _labelled(key: str, value: str) -> Condition:
    return any_of(
        contains(attribute(METADATA), value), equals(attribute(f"{METADATA}.{key}"), value)
    )

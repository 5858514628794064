"""Golden files: every query that the product sends, as it goes out.

`UPDATE_GOLDEN=1 make test TESTS=tests/unit/wire` rewrites them and fails, so that the difference is read.
"""

import os
from pathlib import Path

import orjson
import pytest

from tfy_last9.wire import last9_queries as queries
from tfy_last9.wire import last9_traffic as traffic
from tfy_last9.wire.last9_pipeline import everything
from tfy_last9.wire.last9_selection import Selection

GOLDEN = Path(__file__).parents[2] / "golden" / "last9"
GATEWAY, RUN = "tfy-llm-gateway", "20261123-101500-smoke-a1b2c3"
SENT = {
    "everything": everything(),
    "spans_of_service": queries.spans_of_service(GATEWAY),
    "spans_of_service_selected": queries.spans_of_service(GATEWAY).select(
        Selection(["team", "tenant_id", "cost_center"]).fields
    ),
    "spans_of_run": queries.spans_of_run(GATEWAY, RUN),
    "spans_of_requests": queries.spans_of_requests(GATEWAY, [f"{RUN}.1", f"{RUN}.2"]),
    "spans_of_traces": queries.spans_of_traces(GATEWAY, ["a" * 32, "b" * 32]),
    "spans_of_service_counted": queries.counted(queries.spans_of_service(GATEWAY)),
    "roots_counted": queries.roots_counted(GATEWAY, None),
    "roots_of_run_counted": queries.roots_counted(GATEWAY, RUN),
    "model_spans_by_provider": queries.model_spans_by_provider(GATEWAY),
    "requests_over_time": traffic.requests_over_time(GATEWAY, 60),
    "requests_counted_with_p99": traffic.requests_counted(GATEWAY),
    "requests_by_route": traffic.requests_by_route(GATEWAY),
    "requests_of_route": traffic.requests_of_route(GATEWAY, "sandbox/chat-default"),
    "calls_by_model_and_streaming": traffic.calls_counted(GATEWAY),
    "costs_by_model": traffic.costs(GATEWAY),
    "input_lengths": traffic.input_lengths(GATEWAY, (0.25, 0.75)),
    "output_lengths": traffic.output_lengths(GATEWAY, (0.5,)),
    "slow_model_spans_by_provider": queries.slow_model_spans_by_provider(GATEWAY, "lte", 2e9),
}


@pytest.mark.parametrize("name", SENT)
def test_a_query_goes_out_as_its_golden_file_says(name):
    document = orjson.dumps(SENT[name].document(), option=orjson.OPT_INDENT_2) + b"\n"
    path = GOLDEN / f"{name}.json"
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_bytes(document)
        pytest.fail(f"rewrote {path.name}: read the difference, then run without UPDATE_GOLDEN")
    assert document.decode() == path.read_text()


def test_every_query_has_a_golden_file_and_every_file_a_query():
    assert {path.stem for path in GOLDEN.iterdir()} == set(SENT)


@pytest.mark.parametrize("name", sorted(SENT.keys() - {"everything"}))
def test_every_query_begins_with_a_logical_filter_on_the_service(name):
    """Queries filtered on service are accelerated, and a bare condition on top was rejected.

    The catalogue of attributes is asked about every span, in the form that Last9's own client recommends.
    """
    first = SENT[name].stages[0]
    assert first["type"] == "filter"
    assert first["query"]["$and"][0] == {"$eq": ["ServiceName", GATEWAY]}


@pytest.mark.parametrize(
    ("operator", "sent"), [("lte", "$gt"), ("lt", "$gte"), ("gte", "$lt"), ("gt", "$lte")]
)
def test_a_slow_call_misses_what_the_objective_promises(operator, sent):
    query = queries.slow_model_spans_by_provider(GATEWAY, operator, 2_000_000_000.0)
    assert {sent: ["Duration", "2000000000"]} in query.stages[0]["query"]["$and"]

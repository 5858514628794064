"""The counts strategy: which objectives Last9 can count, and what its answers mean."""

import httpx
import orjson
import pytest
from last9_double import EPOCH_S, Last9Double, connected, enveloped, span_row

from tfy_last9.adapters.last9.counting import Counting, is_countable
from tfy_last9.errors import BackendUnavailable, HarnessError
from tfy_last9.model.objective import (
    Book,
    Completeness,
    Condition,
    Objective,
    Operator,
    Population,
    Ratio,
    Threshold,
)
from tfy_last9.model.run import Counted, Window
from tfy_last9.model.trace import Role
from tfy_last9.wire.spans import read_spans

WINDOW = Window(EPOCH_S * 10**9, (EPOCH_S + 7200) * 10**9)
CALLS = Population(Book.LAST9, Role.MODEL)
LATENCY = Threshold(CALLS, "duration_ms", Operator.LTE, 2000.0)
ERRORS = Ratio(CALLS, (Condition("status", ("error",)),))


def objective(indicator, name="o", group_by=("provider",)):
    return Objective(name, name, "s", indicator, 0.95, group_by, True, 0.95, "a.yaml", 1)


def group(provider, status, n):
    metric = {"fqn": f"t:{provider}:a:model:m", "model": "", "genai_provider": "", "n": n}
    return {"metric": {**metric, "genai_system": "", "status": f"STATUS_CODE_{status}"}}


class Aggregating(Last9Double):
    """Answers aggregates by what is in the query."""

    all_calls = (group("openai", "OK", 970), group("openai", "ERROR", 30), group("x", "OK", 5))
    slow_calls = (group("openai", "OK", 12), group("openai", "ERROR", 9))
    requests_seen, own = 1000, 1000

    def __call__(self, request):
        if "query_range" not in request.url.path:
            return super().__call__(request)
        self.requests.append(request)
        text = request.content.decode()
        if "tfy.request.model_name" in text:
            n = self.own if "r-42" in text else self.requests_seen
            return httpx.Response(200, json=enveloped([{"metric": {"n": n}}]))
        rows = self.slow_calls if "$gt" in text else self.all_calls
        return httpx.Response(200, json=enveloped(list(rows)))


def counting(double, limit=5000):
    client, _ = connected(double, region="r")
    return Counting(client, "tfy-llm-gateway", limit)


def test_errors_and_durations_are_counted_per_provider():
    double = Aggregating()
    found = counting(double).objectives(
        [objective(ERRORS, "errors"), objective(LATENCY, "latency")], WINDOW
    )
    assert found == (
        Counted("errors", ("openai",), 1000, 30, 0),
        Counted("errors", ("x",), 5, 0, 0),
        Counted("latency", ("openai",), 970, 12, 30),
        Counted("latency", ("x",), 5, 0, 0),
    )


def test_an_objective_without_groups_is_the_sum():
    found = counting(Aggregating()).objectives([objective(ERRORS, group_by=())], WINDOW)
    assert found == (Counted("o", (), 1005, 30, 0),)


def test_every_aggregate_is_one_query_over_the_whole_window():
    """Two hours: pieces of an aggregate, glued together, count wrongly."""
    double = Aggregating()
    counting(double).objectives([objective(ERRORS), objective(LATENCY)], WINDOW)
    spans = {(query.url.params["start"], query.url.params["end"]) for query in double.queries}
    assert spans == {(str(EPOCH_S), str(EPOCH_S + 7200))}
    assert len(double.queries) == 2


@pytest.mark.parametrize(
    ("own", "everybody", "alone"), [(5, 5, True), (5, 6, False), (0, 0, False)]
)
def test_it_is_known_whether_the_gateway_served_the_run_alone(own, everybody, alone):
    double = Aggregating()
    double.own, double.requests_seen = own, everybody
    assert counting(double).is_exclusive("r-42", WINDOW) is alone


@pytest.mark.parametrize(
    "indicator",
    [
        Threshold(CALLS, "ttft_ms", Operator.LTE, 1.0),
        Threshold(Population(Book.LAST9, Role.ROOT), "duration_ms", Operator.LTE, 1.0),
        Threshold(Population(Book.LEDGER, None), "total_ms", Operator.LTE, 1.0),
        Threshold(
            Population(Book.LAST9, Role.MODEL, (Condition("model", ("m",)),)),
            "duration_ms",
            Operator.LTE,
            1.0,
        ),
        Ratio(CALLS, (Condition("team", ("a",)),)),
        Completeness((Role.ROOT,)),
    ],
)
def test_what_last9_cannot_count_is_left_to_the_sample(indicator):
    assert not is_countable(objective(indicator))
    double = Aggregating()
    assert counting(double).objectives([objective(indicator)], WINDOW) == ()
    assert double.queries == []


def test_groups_other_than_providers_are_left_to_the_sample():
    assert not is_countable(objective(ERRORS, group_by=("provider", "region")))


def test_an_answer_as_long_as_the_limit_may_have_been_cut():
    with pytest.raises(HarnessError, match="cut"):
        counting(Aggregating(), limit=3).objectives([objective(ERRORS)], WINDOW)


def test_an_unknown_status_is_no_success():
    double = Aggregating()
    double.all_calls = (group("openai", "FINE", 1),)
    with pytest.raises(BackendUnavailable, match="StatusCode"):
        counting(double).objectives([objective(ERRORS)], WINDOW)


def test_counts_that_are_missing_are_not_zero():
    double = Aggregating()
    row = orjson.loads(orjson.dumps(group("openai", "OK", 1)))
    del row["metric"]["n"]
    double.all_calls = (row,)
    with pytest.raises(BackendUnavailable, match="cannot be read"):
        counting(double).objectives([objective(ERRORS)], WINDOW)


def test_calls_that_were_read_are_added_to_those_counted():
    fqn = {"tfy.model.fqn": "t:openai:a:model:m"}
    rows = [
        span_row(1, 0, Duration=2_000_000_000, SpanAttributes=fqn),
        span_row(2, 0, Duration=2_000_000_001, SpanAttributes=fqn),
        span_row(3, 0, StatusCode="STATUS_CODE_ERROR", SpanAttributes={}),
    ]
    objectives = (objective(LATENCY, "slow"), objective(ERRORS, "bad"))
    found = counting(Aggregating()).objectives(objectives, WINDOW, read_spans(rows).spans)
    by_group = {(count.objective, *count.group): count for count in found}
    slow, bad = by_group["slow", "openai"], by_group["bad", "openai"]
    assert (slow.total, slow.bad, slow.excluded) == (970 + 2, 12 + 1, 30)
    assert (bad.total, bad.bad) == (1000 + 2, 30)
    assert by_group["bad", "(none)"].bad == 1

"""The shape of traffic: what Last9 counts, and what stands in for quantiles it will not give."""

import httpx
import orjson
import pytest
from last9_double import EPOCH_S, Last9Double, connected, enveloped, span_row

from tfy_last9.adapters.last9.traffic import INPUT_LEVELS, OUTPUT_LEVELS, TrafficReader
from tfy_last9.errors import BackendUnavailable, NothingArrived
from tfy_last9.model.run import Window
from tfy_last9.model.traffic import Bin

WINDOW = Window(EPOCH_S * 10**9, (EPOCH_S + 600) * 10**9)
OPENAI = {"fqn": "t:openai:openai-main:model:gpt", "model": "openai-main/gpt"}


def call(n, streaming="true", **more):
    empty = {"genai_provider": "", "genai_system": ""}
    return {"metric": {**OPENAI, **empty, "streaming": streaming, "n": n, **more}}


def quantiles(levels, first=10):
    return {f"q{place}": first + place for place, _ in enumerate(levels)}


class Counting(Last9Double):
    """Answers each aggregate by what it asks for; `refuses` is a piece of the queries it will not answer."""

    requests_seen = 100
    refuses = "nothing at all"
    routes = (("openai-main/gpt", 90), ("prod/chat", 10))

    def __call__(self, request):
        if "query_range" not in request.url.path:
            return super().__call__(request)
        self.requests.append(request)
        stages = orjson.loads(request.content)["pipeline"]
        text = request.content.decode()
        if self.refuses in text:
            return httpx.Response(400, json={"error": "bad pipeline"})
        return httpx.Response(200, json=enveloped(self.answer(stages, text)))

    def answer(self, stages, text):  # noqa: PLR0911 - one per question
        last = stages[-1]
        if last["type"] == "window_aggregate":
            return [{"metric": {"__ts__": str(EPOCH_S + 60 * n), "n": 50}} for n in (1, 0)]
        if last["type"] == "select" or last["type"] == "filter":
            return self.spans(text)
        if "tfy.span_type" not in text and "groupby" in last:
            return [{"metric": {"route": name, "n": n}} for name, n in self.routes]
        if "tfy.span_type" not in text:
            return (
                [{"metric": {"n": self.requests_seen, "slow_ns": 4e9}}]
                if self.requests_seen
                else []
            )
        if "cost_in_usd" in text:
            return [call(60, total=0.6), call(20, "false", total=0.4)]
        if "output_tokens" in text:
            return [call(70, total=1400, **quantiles(OUTPUT_LEVELS))]
        if "input_tokens" in text:
            return [{"metric": {"n": 90, "total": 900, **quantiles(INPUT_LEVELS)}}]
        return [call(70), call(30, "false")]

    def spans(self, text):
        if "prod/chat" in text:
            return [span_row(7, 1.0)]
        return [self.model(7, 20), self.model(8, 40)]

    def model(self, n, tokens):
        attributes = {
            "tfy.span_type": "Model",
            "tfy.model.name": "openai-main/gpt",
            "tfy.model.fqn": OPENAI["fqn"],
            "tfy.model.streaming": "true",
            "tfy.model.metric.input_tokens": str(tokens),
            "tfy.model.metric.output_tokens": str(tokens // 2),
        }
        return span_row(n, 2.0, SpanAttributes=attributes, ParentSpanId=f"{n + 1:016x}")


def read(double):
    client, _ = connected(double, region="r")
    return TrafficReader(client, "tfy-llm-gateway", 5000).read(WINDOW)


def test_arrivals_mix_streams_lengths_and_cost_are_counted():
    found = read(Counting())
    assert found.requests == 100
    assert found.duration_p99_s == 4.0
    assert found.arrivals == (Bin(EPOCH_S, 1, 50), Bin(EPOCH_S + 60, 1, 50))
    whole, streamed = sorted(found.calls, key=lambda one: one.stream)
    assert (streamed.requests, streamed.priced, streamed.cost_usd) == (70, 60, 0.6)
    assert (whole.requests, whole.priced, whole.cost_usd) == (30, 20, 0.4)
    assert streamed.output.values == (10, 11, 12, 13)
    assert streamed.provider == "openai"
    assert found.input.values == tuple(range(10, 30))
    assert found.input.mean == 10
    assert found.how == "counted by Last9 over every call"


def test_a_virtual_model_is_followed_into_its_traces():
    routes = {route.name: route for route in read(Counting()).routes}
    assert routes["openai-main/gpt"].reaches == ()
    assert routes["prod/chat"].reaches == ("openai-main/gpt",)


@pytest.mark.parametrize("refused", ['$quantile_exact":[0.125', '$quantile_exact":[0.025'])
def test_without_quantiles_of_attributes_a_sample_of_calls_stands_in(refused):
    double = Counting()
    double.refuses = refused
    found = read(double)
    assert found.how.startswith("from a sample of 24 calls")
    (streamed,) = [one for one in found.calls if one.stream]
    assert set(streamed.output.values) == {10, 20}
    assert set(found.input.values) == {20, 40}


def test_without_sums_of_attributes_there_is_no_price():
    double = Counting()
    double.refuses = "cost_in_usd"
    assert {one.priced for one in read(double).calls} == {0}


def test_an_answer_that_shows_the_count_alone_is_no_length_and_no_price_of_zero():
    class Terse(Counting):
        def answer(self, stages, text):
            rows = super().answer(stages, text)
            if "aggregates" not in stages[-1]:
                return rows
            kept = {"n", "slow_ns", "route", "streaming", *OPENAI}
            return [{"metric": {k: v for k, v in r["metric"].items() if k in kept}} for r in rows]

    found = read(Terse())
    assert found.how.startswith("from a sample of")
    assert {one.priced for one in found.calls} == {0}


def test_no_traffic_is_said():
    double = Counting()
    double.requests_seen = 0
    with pytest.raises(NothingArrived, match="shows no request"):
        read(double)


def test_a_cut_answer_is_never_taken_for_the_whole():
    client, _ = connected(Counting(), region="r")
    with pytest.raises(BackendUnavailable, match="may have been cut"):
        TrafficReader(client, "tfy-llm-gateway", 2).read(WINDOW)

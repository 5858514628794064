"""The doctor's lines: what a probe and its trace show about a set-up."""

from dataclasses import replace

import pytest

from tfy_last9.errors import ExitCode
from tfy_last9.judge.diagnosis import Arrival, Light, Probe, answer_lines, trace_lines
from tfy_last9.model.trace import Role, Span, SpanStatus

TRACE = "019e88d3d58b72289db404b486e0e151"
PROBE = Probe(
    model="openai-main/gpt",
    status=200,
    problem=None,
    is_edge_block=False,
    named_trace=TRACE,
    sent_trace="f" * 32,
    request_id="doctor-1.openai",
)
WHOLE_RESOURCE = {"env": "e", "region": "r", "team": "t", "tenant_id": "i"}


def span(role, trace_id=TRACE, request_id=None, **more):
    """A span as an older gateway of another make writes it: nothing of `tfy.*` is owed."""
    attributes = {
        "gen_ai.request.model": "gpt",
        "gen_ai.provider.name": "openai",
        "gen_ai.operation.name": "chat",
        "gen_ai.usage.input_tokens": 1,
        "gen_ai.usage.output_tokens": 1,
    }
    return replace(
        Span(
            *(trace_id, "a" * 16, None, role.value, "server", "gw", SpanStatus.OK, None, 1, 1),
            *(role, "openai", None, "gpt", None, None, None, None, request_id),
            attributes if role is Role.MODEL else {},
            WHOLE_RESOURCE,
        ),
        **more,
    )


def lights(lines):
    return {line.name: line.light for line in lines}


def arrived(*spans, kept=None):
    return Arrival(spans, 1.5, kept)


def only(lines, name):
    (found,) = [line for line in lines if line.name == name]
    return found


def test_an_answer_without_fault_is_green_throughout():
    assert set(lights(answer_lines(PROBE)).values()) == {Light.GREEN}


@pytest.mark.parametrize(
    ("change", "name", "light", "advice"),
    [
        ({"status": 401, "problem": "HTTP 401"}, "key", Light.RED, "TFY_API_KEY"),
        ({"status": 403, "problem": "HTTP 403"}, "model", Light.RED, "tenant admin"),
        ({"status": 404, "problem": "HTTP 404"}, "model", Light.RED, "account/model"),
        ({"status": 404, "is_no_endpoint": True}, "gateway", Light.RED, "TFY_GATEWAY_URL"),
        ({"status": 400, "problem": "HTTP 400"}, "model", Light.RED, "max_tokens"),
        ({"status": 429, "problem": "HTTP 429"}, "model", Light.YELLOW, "budget"),
        ({"status": 503, "problem": "HTTP 503"}, "model", Light.YELLOW, "provider"),
        ({"problem": "the stream ended without [DONE]"}, "model", Light.YELLOW, "provider"),
        ({"is_edge_block": True, "status": 403}, "User-Agent", Light.RED, "user-agent"),
        ({"status": None, "problem": "ConnectError"}, "gateway", Light.RED, "TFY_GATEWAY_URL"),
        ({"named_trace": None}, "trace header", Light.YELLOW, "x-tfy-metadata"),
    ],
)
def test_each_fault_of_an_answer_has_its_line_and_its_remedy(change, name, light, advice):
    line = only(list(answer_lines(replace(PROBE, **change))), name)
    assert line.light is light
    assert advice in line.fix


def test_a_whole_trace_is_green_and_says_which_ways_lead_to_it():
    spans = (span(Role.ROOT, request_id=PROBE.request_id), span(Role.MODEL))
    lines = list(trace_lines(PROBE, arrived(*spans)))
    assert set(lights(lines).values()) == {Light.GREEN}
    assert "inferred" in only(lines, "exporter").said
    assert only(lines, "correlation").said.endswith("response header, request metadata")


def test_a_gateway_that_continues_our_trace_is_told_so():
    spans = (span(Role.ROOT, "f" * 32, PROBE.request_id), span(Role.MODEL, "f" * 32))
    line = only(list(trace_lines(PROBE, arrived(*spans))), "correlation")
    assert line.light is Light.GREEN
    assert line.said.endswith("request metadata, traceparent")


def test_traceparent_alone_joins_no_run():
    """The client's own trace id proves nothing about whose request a span belongs to on a shared gateway."""
    spans = (span(Role.ROOT, "f" * 32), span(Role.MODEL, "f" * 32))
    assert lights(trace_lines(PROBE, arrived(*spans)))["correlation"] is Light.RED


@pytest.mark.parametrize(
    ("kept", "said", "advice"),
    [
        (True, "TrueFoundry has the trace", "encoding Proto"),
        (False, "was not logged", "request logging"),
        (None, "no trace of the probe", "TFY_CONTROL_PLANE_URL"),
    ],
)
def test_a_trace_that_does_not_arrive_is_red_and_the_second_oracle_says_where(kept, said, advice):
    (line,) = trace_lines(PROBE, arrived(kept=kept))
    assert (line.light, line.code) == (Light.RED, ExitCode.NO_DATA)
    assert said in line.said
    assert advice in line.fix


def test_a_trace_that_a_filter_cut_apart_is_red():
    root = span(Role.ROOT, request_id=PROBE.request_id)
    line = only(list(trace_lines(PROBE, arrived(root))), "span tree")
    assert line.light is Light.RED
    assert "`when` filter" in line.fix


def test_missing_attributes_and_resources_are_named():
    bare = span(Role.MODEL, resource={"env": "e"})
    del bare.attributes["gen_ai.usage.output_tokens"]
    lines = list(trace_lines(PROBE, arrived(span(Role.ROOT, resource={}), bare)))
    assert "tfy.model.metric.output_tokens (model)" in only(lines, "contract").said
    assert only(lines, "resource").said == "without region, team, tenant_id"


def test_an_address_where_no_gateway_answers_says_nothing_about_key_and_model():
    lines = answer_lines(replace(PROBE, status=404, is_no_endpoint=True, named_trace=None))
    assert [line.name for line in lines] == ["gateway"]


def test_a_refusal_that_names_no_trace_is_nothing_to_look_at():
    lines = lights(answer_lines(replace(PROBE, status=403, problem="no", named_trace=None)))
    assert "trace header" not in lines


def test_a_trace_under_another_service_names_the_setting():
    found = Arrival((), 1.0, kept_elsewhere=True, other_services=("gw",))
    (line,) = trace_lines(PROBE, found)
    assert (line.name, line.light, line.code) == ("service", Light.RED, ExitCode.CONFIGURATION)
    assert line.fix == "set LAST9_SERVICE to gw"

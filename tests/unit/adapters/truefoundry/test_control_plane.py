"""The second oracle: which lost traces TrueFoundry has, and what happens when it does not answer."""

import json

import httpx
import pytest

from tfy_last9.adapters.clock import SystemClock
from tfy_last9.adapters.last9.calls import Caller, Retry
from tfy_last9.adapters.truefoundry.control_plane import ControlPlane, ControlPlaneSettings
from tfy_last9.errors import ConfigurationError, MissingSettings
from tfy_last9.model.run import LostTrace, SecondOracle, Window

KEY = "a-key-that-must-stay-hidden"
WINDOW = Window(10**18, 10**18 + 10**9)


def ask(monkeypatch, respond, lost):
    """Look for lost traces at a control plane that `respond` plays."""
    monkeypatch.setattr(
        Caller,
        "__init__",
        with_transport(Caller.__init__, httpx.MockTransport(respond)),
    )
    with ControlPlane(ControlPlaneSettings("https://cp.example", KEY), SystemClock()) as plane:
        return plane.look_for(lost, WINDOW)


def with_transport(init, transport):
    def patched(self, *arguments, **named):
        init(self, *arguments, transport=transport, retry=Retry(attempts=1), **named)

    return patched


def span(trace_id, request_id):
    return {
        "traceId": trace_id,
        "spanAttributes": {"tfy.request.metadata": {"request_id": request_id}},
    }


def test_named_traces_are_asked_by_id_and_unnamed_ones_by_request(monkeypatch):
    asked = []

    def respond(request):
        assert request.headers["authorization"] == f"Bearer {KEY}"
        body = json.loads(request.content)
        asked.append(body.get("traceIds") or body["filters"][0]["value"])
        spans = [span("a" * 32, "r.1")] if "traceIds" in body else [span("d" * 32, "r.3")]
        return httpx.Response(200, json={"data": spans, "pagination": {}})

    lost = [LostTrace("r.1", "a" * 32), LostTrace("r.2", "b" * 32), LostTrace("r.3", None)]
    found = ask(monkeypatch, respond, lost)
    assert found == SecondOracle(("r.1", "r.2", "r.3"), ("r.1", "r.3"))
    assert asked == [["a" * 32, "b" * 32], ["r.3"]]


def test_every_page_of_an_answer_is_read(monkeypatch):
    def respond(request):
        token = json.loads(request.content).get("pageToken")
        trace, following = ("b" * 32, None) if token else ("a" * 32, "1")
        pagination = {"nextPageToken": following}
        return httpx.Response(200, json={"data": [span(trace, "?")], "pagination": pagination})

    lost = [LostTrace("r.1", "a" * 32), LostTrace("r.2", "b" * 32)]
    assert ask(monkeypatch, respond, lost).found == ("r.1", "r.2")


@pytest.mark.parametrize(
    ("response", "said"),
    [
        (httpx.Response(403, json={"message": KEY}), "refused TFY_API_KEY (403)"),
        (httpx.Response(500, text=f"oops {KEY}"), "control plane answered 500"),
        (httpx.Response(200, text="<html>"), "not JSON"),
        (httpx.Response(404), "answered 404"),
    ],
)
def test_an_oracle_that_does_not_answer_says_nothing_and_tells_why(monkeypatch, response, said):
    found = ask(monkeypatch, lambda _: response, [LostTrace("r.1", None)])
    assert (found.asked, found.found) == ((), ())
    assert said in found.error
    assert KEY not in found.error


def test_settings_come_from_the_environment_or_not_at_all():
    assert ControlPlaneSettings.of({}) is None
    settings = ControlPlaneSettings.of(
        {"TFY_CONTROL_PLANE_URL": "https://cp.example/", "TFY_API_KEY": KEY}
    )
    assert settings == ControlPlaneSettings("https://cp.example", KEY)
    assert KEY not in repr(settings)
    with pytest.raises(MissingSettings):
        ControlPlaneSettings.of({"TFY_CONTROL_PLANE_URL": "https://cp.example"})
    with pytest.raises(ConfigurationError):
        ControlPlaneSettings.of({"TFY_CONTROL_PLANE_URL": "http://cp.example", "TFY_API_KEY": KEY})

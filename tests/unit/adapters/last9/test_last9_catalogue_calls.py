"""Catalogue questions and change events, as they go over the wire."""

import httpx
import orjson
import pytest
from last9_double import EPOCH_S, Last9Double, connected

from tfy_last9.adapters.last9.catalogue import Catalogue, announce
from tfy_last9.errors import BackendUnavailable, CredentialRefused
from tfy_last9.model.run import Window
from tfy_last9.wire.last9_queries import spans_of_service

WINDOW = Window(EPOCH_S * 10**9, (EPOCH_S + 60) * 10**9)
BASE = "/api/v4/organizations/acme"


def ask(question, *answers):
    """Return what a question gives, and the request it sent."""
    double = Last9Double(script=list(answers))
    client, _ = connected(double, region="r")
    return question(client), double.requests[-1]


def success(data):
    return httpx.Response(200, json={"status": "success", "data": data})


def test_attributes_are_asked_for_by_pipeline():
    found, request = ask(
        lambda client: Catalogue(client).attributes(spans_of_service("gw"), WINDOW),
        success([{"gen_ai.system": "openai"}]),
    )
    assert found == ("gen_ai.system",)
    assert (request.method, request.url.path) == ("POST", f"{BASE}/cat/api/traces/v2/series/json")
    assert orjson.loads(request.content) == spans_of_service("gw").document()


def test_values_are_posted_for_with_the_name_quoted():
    """GET is answered with 404 there; a slash in a name must not change the path."""
    found, request = ask(
        lambda client: Catalogue(client).values("a/b c", WINDOW), success(["x", "y"])
    )
    assert found == ("x", "y")
    assert request.method == "POST"
    path = f"{BASE}/cat/api/traces/v2/label/json/a%2Fb%20c/values"
    assert request.url.raw_path.startswith(path.encode())


def test_tags_are_got():
    body = {"scopes": [{"name": "span", "tags": ["a"]}]}
    found, request = ask(
        lambda client: Catalogue(client).tags(WINDOW), httpx.Response(200, json=body)
    )
    assert found == {"span": ("a",)}
    assert request.method == "GET"
    assert request.url.params["start"] == str(EPOCH_S)


def test_a_heat_map_comes_as_it_is():
    found, request = ask(
        lambda client: Catalogue(client).heat_map(spans_of_service("gw"), WINDOW, buckets=5),
        httpx.Response(200, json=[[1, 2]]),
    )
    assert found == [[1, 2]]
    assert request.url.params["buckets"] == "5"


def test_an_answer_that_cannot_be_read_says_to_what():
    with pytest.raises(BackendUnavailable, match="series"):
        ask(
            lambda client: Catalogue(client).attributes(spans_of_service("gw"), WINDOW),
            httpx.Response(200, text="<html>"),
        )


def write(client):
    announce(client, "load_test", "start", EPOCH_S * 10**9, {"run_id": "r-42"})


def test_a_change_event_is_put():
    _, request = ask(write, httpx.Response(200, json={"message": "success"}))
    assert (request.method, request.url.path) == ("PUT", f"{BASE}/change_events")
    assert orjson.loads(request.content)["attributes"] == {"run_id": "r-42"}


def test_a_token_without_write_scope_says_which_scope_is_missing():
    with pytest.raises(CredentialRefused) as caught:
        ask(write, httpx.Response(403, json={"error": "forbidden"}))
    assert "write scope" in caught.value.hint

"""Tokens: exchanged, renewed, refused; and never shown."""

import logging

import httpx
import pytest
from last9_double import EPOCH_S, REFRESH, FakeClock, Last9Double, connected, jwt

from tfy_last9.errors import BackendUnavailable, ConfigurationError, CredentialRefused
from tfy_last9.model.run import Window

WINDOW = Window(EPOCH_S * 10**9, (EPOCH_S + 10) * 10**9)


def test_the_exchange_sends_the_refresh_token_in_the_body_alone():
    double = Last9Double()
    client, _ = connected(double)
    client.place()
    exchange = double.requests[0]
    assert str(exchange.url) == "https://app.last9.io/api/v4/oauth/access_token"
    assert exchange.method == "POST"
    assert exchange.content == b'{"refresh_token":"' + REFRESH.encode() + b'"}'
    assert "authorization" not in exchange.headers
    assert "x-last9-api-token" not in exchange.headers


def test_calls_carry_the_access_token_with_its_prefix():
    double = Last9Double()
    client, _ = connected(double)
    client.place()
    request = double.requests[1]
    assert str(request.url) == "https://app.last9.io/api/v4/organizations/acme/datasources"
    assert request.headers["x-last9-api-token"] == f"Bearer {jwt(n=1)}"
    assert "authorization" not in request.headers


def test_settings_override_what_the_token_says():
    double = Last9Double()
    client, source = connected(
        double, api_url="http://127.0.0.1:1", org="acme", region="eu-1", service="gw", page_limit=7
    )
    source.spans(WINDOW)
    query = double.requests[-1]
    assert str(query.url).startswith("http://127.0.0.1:1/api/v4/organizations/acme/cat/")
    assert query.url.params["region"] == "eu-1"
    assert query.url.params["limit"] == "7"
    assert b'["ServiceName","gw"]' in query.content
    assert client.place().cluster is None


def test_one_token_serves_many_calls():
    double = Last9Double()
    _, source = connected(double)
    for _ in range(5):
        source.spans(WINDOW)
    assert double.exchanges == 1


def test_a_token_is_renewed_before_it_expires():
    """The lifetime is a difference of Last9's own instants: this clock may be hours off."""
    double, clock = Last9Double(lifetime_s=1000), FakeClock(EPOCH_S - 7200)
    _, source = connected(double, clock)
    source.spans(WINDOW)
    clock.now += 690 * 10**9
    source.spans(WINDOW)
    assert double.exchanges == 1
    clock.now += 20 * 10**9
    source.spans(WINDOW)
    assert double.exchanges == 2


def test_a_short_lived_token_is_used_for_half_its_life():
    double, clock = Last9Double(lifetime_s=10), FakeClock()
    _, source = connected(double, clock)
    source.spans(WINDOW)
    clock.now += 4 * 10**9
    source.spans(WINDOW)
    assert double.exchanges == 1
    clock.now += 2 * 10**9
    source.spans(WINDOW)
    assert double.exchanges == 2


@pytest.mark.parametrize("status", [400, 401, 403])
def test_an_expired_token_is_replaced_once_whatever_the_status(status):
    refusal = httpx.Response(status, json={"error": "Authorization token is expired"})
    double = Last9Double(script=[refusal])
    _, source = connected(double, region="r")
    assert source.spans(WINDOW).spans == ()
    assert double.exchanges == 2
    tokens = [request.headers["x-last9-api-token"] for request in double.queries]
    assert tokens == [f"Bearer {jwt(n=1)}", f"Bearer {jwt(n=2)}"]


def test_a_token_that_is_refused_again_is_given_up():
    double = Last9Double(script=[httpx.Response(401, json={"error": "no"})] * 2)
    _, source = connected(double, region="r")
    with pytest.raises(CredentialRefused, match="401"):
        source.spans(WINDOW)
    assert double.exchanges == 2


def test_too_small_a_scope_is_told():
    double = Last9Double(script=[httpx.Response(403, json={"error": "forbidden"})])
    _, source = connected(double, region="r")
    with pytest.raises(CredentialRefused) as caught:
        source.spans(WINDOW)
    assert "read scope" in str(caught.value.hint)
    assert double.exchanges == 1


@pytest.mark.parametrize("status", [400, 401, 403])
def test_a_bad_refresh_token_is_refused_without_retries(status):
    double = Last9Double(token_script=[httpx.Response(status, json={"error": f"bad {REFRESH}"})])
    clock = FakeClock()
    client, _ = connected(double, clock)
    with pytest.raises(CredentialRefused, match=str(status)) as caught:
        client.place()
    assert REFRESH not in str(caught.value)
    assert clock.slept == []


def test_an_exchange_under_pressure_is_repeated():
    double = Last9Double(token_script=[httpx.Response(429), httpx.Response(503)])
    clock = FakeClock()
    client, _ = connected(double, clock)
    assert client.place().region == "ap-south-1"
    assert len(clock.slept) == 2


@pytest.mark.parametrize("answer", [httpx.Response(200, text="<html>"), httpx.Response(404)])
def test_an_address_that_is_not_last9_is_told(answer):
    client, _ = connected(Last9Double(token_script=[answer]))
    with pytest.raises(BackendUnavailable) as caught:
        client.place()
    assert "LAST9_API_URL" in str(caught.value.hint)


def test_a_redirect_is_not_followed_with_the_token():
    moved = httpx.Response(302, headers={"Location": "https://evil.example/x?t=1"})
    double = Last9Double(token_script=[moved])
    client, _ = connected(double)
    with pytest.raises(BackendUnavailable, match=r"https://evil\.example/x"):
        client.place()
    assert {request.url.host for request in double.requests} == {"app.last9.io"}


def test_an_opaque_token_needs_an_organisation():
    client, _ = connected(Last9Double(), refresh_token="opaque")
    with pytest.raises(ConfigurationError) as caught:
        client.place()
    assert "LAST9_ORG" in str(caught.value.hint)


def test_the_organisation_may_be_in_the_access_token_only():
    grant = {"access_token": jwt(organization_slug="acme"), "expires_at": EPOCH_S + 3600}
    double = Last9Double(token_script=[httpx.Response(200, json=grant)])
    client, _ = connected(double, refresh_token="opaque")
    assert client.place().region == "ap-south-1"
    assert client.organisation == "acme"


def echo_tokens(request):
    """A server that repeats what it was sent, in every place it can."""
    sent = request.headers.get("x-last9-api-token", "") + request.content.decode()
    if "oauth" in request.url.path:
        return httpx.Response(200, json={"access_token": "opaque-access", "expires_at": 9e9})
    return httpx.Response(400, json={"error": f"invalid refresh token: {sent}"})


def test_secrets_reach_neither_messages_nor_logs_nor_addresses(caplog):
    caplog.set_level(logging.DEBUG)
    double_requests = []

    def recording(request):
        double_requests.append(request)
        return echo_tokens(request)

    client, source = connected(recording, refresh_token="opaque-refresh", org="acme", region="r")
    with pytest.raises(BackendUnavailable) as caught:
        source.spans(WINDOW)
    texts = [str(caught.value), repr(caught.value), str(caught.value.hint), caplog.text]
    texts += [str(request.url) for request in double_requests]
    texts += [repr(client), repr(source), repr(vars(source))]
    for text in texts:
        assert "opaque-" not in text
    assert "***" in str(caught.value)


def test_httpx_does_not_log_addresses_unless_asked(caplog):
    client, _ = connected(Last9Double())
    client.place()
    assert logging.getLogger("httpx").level >= logging.WARNING
    assert "app.last9.io" not in caplog.text

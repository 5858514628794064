"""What tokens say about where to go."""

import base64

import orjson
import pytest

from tfy_last9.wire import last9_token
from tfy_last9.wire.last9 import UnreadableAnswer


def jwt(**claims) -> str:
    def part(value):
        return base64.urlsafe_b64encode(orjson.dumps(value)).rstrip(b"=").decode()

    return f"{part({'alg': 'HS256'})}.{part(claims)}.c2lnbmF0dXJl"


def test_claims_are_read_from_the_payload():
    claims = last9_token.read_claims(
        jwt(
            aud=["app.last9.io", "other"], organization_slug="acme", exp=1795507200, scopes=["read"]
        )
    )
    assert claims == last9_token.Claims("app.last9.io", "acme", 1795507200.0, ("read",))


@pytest.mark.parametrize("token", ["", "opaque", "a.b", "a.!!!.c", "a.e30.c", "a.W10.c", "a.bm8.c"])
def test_a_token_that_is_no_jwt_says_nothing(token):
    assert last9_token.read_claims(token) == last9_token.Claims(None, None, None, ())


@pytest.mark.parametrize("aud", ["app.last9.io", ["app.last9.io"], [" app.last9.io "]])
def test_the_audience_may_be_a_text_or_a_list(aud):
    assert last9_token.read_claims(jwt(aud=aud)).audience == "app.last9.io"


@pytest.mark.parametrize(
    ("audience", "url"),
    [
        (None, "https://app.last9.io"),
        ("app.last9.io", "https://app.last9.io"),
        ("https://app.last9.io", "https://app.last9.io"),
        ("https://app.last9.io/api", "https://app.last9.io"),
        ("eu.last9.io/api/", "https://eu.last9.io"),
        ("http://app.last9.io", "https://app.last9.io"),
        ("127.0.0.1:9443", "https://127.0.0.1:9443"),
        ("http://127.0.0.1:9080", "http://127.0.0.1:9080"),
        ("http://localhost:9080/api", "http://localhost:9080"),
    ],
)
def test_an_audience_becomes_a_base_url_and_stays_encrypted_beyond_this_machine(audience, url):
    assert last9_token.audience_url(audience) == url


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://127.0.0.1:1", True),
        ("http://127.8.9.10", True),
        ("http://[::1]:80", True),
        ("https://LOCALHOST", True),
        ("https://app.last9.io", False),
        ("http://127.evil.example", False),
        ("http://localhost.evil.example", False),
        ("nonsense", False),
    ],
)
def test_only_addresses_of_this_machine_are_loopback(url, expected):
    assert last9_token.is_loopback(url) is expected


def test_a_grant_takes_its_times_from_the_answer():
    body = (
        b'{"access_token":"a.b.c","expires_at":1795507200,"issued_at":"1795420800","type":"Bearer"}'
    )
    assert last9_token.read_grant(body) == last9_token.Grant("a.b.c", 1795420800.0, 1795507200.0)


def test_without_expires_at_the_token_itself_tells_its_expiry():
    body = orjson.dumps({"access_token": jwt(exp=99)})
    assert last9_token.read_grant(body).expires_s == 99.0


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b'{"access_token":""}'])
def test_an_answer_without_a_token_is_refused(body):
    with pytest.raises(UnreadableAnswer):
        last9_token.read_grant(body)


def test_a_grant_does_not_show_its_token():
    assert "s3cret" not in repr(last9_token.Grant("s3cret", None, 1.0))

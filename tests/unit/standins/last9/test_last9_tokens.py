"""Tokens over HTTP: the exchange, and Last9's answer to each mistake."""

import jwt
import pytest
from last9_sandbox import T0_S

from tfy_last9.standins.last9.settings import Settings
from tfy_last9.standins.last9.tokens import REFRESH_LIFETIME_S, Tokens, signing_key

EXCHANGE = "/api/v4/oauth/access_token"


class Clock:
    def __init__(self):
        self.now_s = float(T0_S)

    def __call__(self):
        return self.now_s


def test_the_exchange_answers_with_two_jwts_and_their_times(last9):
    """Some clients read `expires_at`, others the token's own `exp`: both have to be true."""
    refresh_token = last9.tokens.refresh_token()
    answer = last9.client.post(EXCHANGE, json={"refresh_token": refresh_token}).json()
    claims = jwt.decode(answer["access_token"], options={"verify_signature": False})
    assert answer == {
        "access_token": answer["access_token"],
        "refresh_token": refresh_token,
        "issued_at": T0_S,
        "expires_at": T0_S + 86_400,
        "type": "Bearer",
        "scopes": ["read"],
    }
    assert claims["exp"] == answer["expires_at"]
    assert claims["aud"] == [last9.url.removeprefix("http://")]
    assert (claims["organization_slug"], claims["scopes"]) == ("acme", ["read"])


def test_the_grant_type_may_be_named(last9):
    body = {"refresh_token": last9.tokens.refresh_token(), "grant_type": "refresh_token"}
    assert last9.client.post(EXCHANGE, json=body).status_code == 200


def test_a_wrong_refresh_token_is_401_with_a_reason(last9):
    stranger = Tokens(b"x" * 32, "127.0.0.1", "acme", 60, Clock()).refresh_token()
    access = last9.tokens.exchange(last9.tokens.refresh_token())["access_token"]
    for token in ("garbage", stranger, access):
        response = last9.client.post(EXCHANGE, json={"refresh_token": token})
        assert response.status_code == 401
        assert response.json()["error"].startswith("invalid refresh token")


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"refresh_token":7}', b"not json"])
def test_an_exchange_without_a_token_is_400(last9, content):
    assert last9.client.post(EXCHANGE, content=content).status_code == 400


def test_an_old_refresh_token_is_refused(start):
    clock = Clock()
    last9 = start(clock=clock)
    token = last9.tokens.refresh_token()
    clock.now_s += REFRESH_LIFETIME_S
    assert last9.client.post(EXCHANGE, json={"refresh_token": token}).status_code == 401


def test_an_access_token_expires(start):
    clock = Clock()
    last9 = start(Settings(token_lifetime_s=60), clock)
    headers = last9.access()
    clock.now_s += 59.9
    assert last9.query(headers=headers).status_code == 200
    clock.now_s += 0.1
    response = last9.query(headers=headers)
    assert response.status_code == 401
    assert response.json() == {"error": "Authorization token is expired"}


def test_the_header_name_is_matched_in_any_case(last9):
    (value,) = last9.access().values()
    for name in ("X-LAST9-API-TOKEN", "X-Last9-Api-Token", "x-last9-api-token"):
        assert last9.query(headers={name: value}).status_code == 200


MISTAKES = {
    "no token": (lambda _t: {"Accept": "application/json"}, 401, "missing header"),
    "in Authorization": (lambda t: {"Authorization": f"Bearer {t}"}, 401, "missing header"),
    "no prefix": (lambda t: {"X-LAST9-API-TOKEN": t}, 400, "invalid access token"),
    "Basic": (lambda t: {"X-LAST9-API-TOKEN": f"Basic {t}"}, 400, "invalid access token"),
    "garbage": (lambda _t: {"X-LAST9-API-TOKEN": "Bearer x.y.z"}, 400, "invalid refresh token:"),
    "cut": (lambda t: {"X-LAST9-API-TOKEN": f"Bearer {t[:-9]}"}, 400, "invalid refresh token:"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
@pytest.mark.parametrize("path", ["datasources", "clusters", "cat/api/traces/" + "0" * 32])
def test_every_mistake_has_its_own_answer(last9, mistake, path):
    headers, status, text = MISTAKES[mistake]
    token = last9.tokens.exchange(last9.tokens.refresh_token())["access_token"]
    response = last9.client.get(f"{last9.base}/{path}", headers=headers(token))
    assert response.status_code == status
    assert response.json()["error"].startswith(text)


def test_a_refresh_token_is_no_access_token(last9):
    headers = {"X-LAST9-API-TOKEN": f"Bearer {last9.tokens.refresh_token()}"}
    response = last9.query(headers=headers)
    assert (response.status_code, response.json()) == (400, {"error": "invalid access token"})


def test_another_organisation_is_out_of_reach(last9):
    response = last9.client.get("/api/v4/organizations/else/datasources", headers=last9.access())
    assert response.status_code == 403


def test_a_kept_key_lets_tokens_outlive_a_restart(tmp_path):
    key = signing_key(tmp_path)
    assert signing_key(tmp_path) == key
    assert (tmp_path / "signing.key").stat().st_mode & 0o777 == 0o600
    assert signing_key(None) != signing_key(None)

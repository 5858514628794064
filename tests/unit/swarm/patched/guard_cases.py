"""Whom the web UI serves, and what it refuses."""

import pytest

from tfy_last9.errors import ConfigurationError
from tfy_last9.swarm.guard import Visit, check_binding, refusal

GATEWAY = "http://127.0.0.1:9000"
HERE = "127.0.0.1:8089"
OWN, EVIL = f"http://{HERE}", "http://evil.example"


@pytest.mark.parametrize("host", ["", "0.0.0.0", "192.168.1.4", "::"])
def test_the_web_ui_is_not_served_to_a_network_without_a_login(host):
    with pytest.raises(ConfigurationError, match="without a login"):
        check_binding(host, has_login=False)
    check_binding(host, has_login=True)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_the_web_ui_is_served_on_loopback(host):
    check_binding(host, has_login=False)


def visit(method="GET", path="/", host=HERE, **more):
    return Visit(method, path, host, **more)


ALLOWED = {
    "a typed address": visit(site="none", mode="navigate"),
    "an old browser or curl": visit(),
    "our own page": visit(path="/tfy/state", site="same-origin", mode="cors"),
    "our own form": visit("POST", "/swarm", origin=OWN, site="same-origin", form_host=GATEWAY),
    "a script without a browser": visit("POST", "/swarm", form_host=GATEWAY + "/"),
    "loopback by IPv6": visit("POST", "/stop", "[::1]:8089"),
    "a link from a ticket": visit(path="/tfy", site="cross-site", mode="navigate"),
}
REFUSED = {
    "DNS rebinding": (visit(host="evil.example:8089"), "unknown Host"),
    "no Host at all": (visit(host=""), "unknown Host"),
    "a cross-site form": (visit("POST", "/swarm", origin=EVIL), "cross-origin"),
    "a sandboxed frame": (visit("POST", "/stop", origin="null"), "cross-origin"),
    "another port": (visit("POST", "/stop", origin="http://127.0.0.1:8090"), "cross-origin"),
    "a foreign page that reads": (visit(path="/stats/requests", origin=EVIL), "cross-origin"),
    "a foreign picture": (visit(path="/stats/reset", site="cross-site", mode="no-cors"), "cross"),
    "a foreign link that resets": (
        visit(path="/stats/reset", site="cross-site", mode="navigate"),
        "cross-origin",
    ),
    "a form without Origin": (
        visit("POST", "/swarm", site="cross-site", mode="navigate"),
        "cross-origin",
    ),
    "load to another host": (visit("POST", "/swarm", origin=OWN, form_host=EVIL), "only go to"),
}


@pytest.mark.parametrize("name", ALLOWED)
def test_who_may_use_the_web_ui(name):
    assert refusal(ALLOWED[name], GATEWAY, has_login=False) is None


@pytest.mark.parametrize("name", REFUSED)
def test_who_may_not(name):
    seen, because = REFUSED[name]
    assert because in refusal(seen, GATEWAY, has_login=False)


def test_a_login_allows_other_names_and_nothing_else():
    assert refusal(visit(host="load.example"), GATEWAY, has_login=True) is None
    foreign = visit("POST", "/swarm", host="load.example", origin=EVIL)
    assert "cross-origin" in refusal(foreign, GATEWAY, has_login=True)

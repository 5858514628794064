"""Proxy variables and certificate bundles: what is used, what is refused, what is never shown."""

import pytest

from tfy_last9.adapters.environment import gateway_settings
from tfy_last9.adapters.network import certificates, proxy_for
from tfy_last9.errors import ConfigurationError

URL = "https://gateway.example/tenant"


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy"])
def test_the_usual_variables_name_the_proxy(name):
    proxy = proxy_for(URL, {name: "http://proxy.example:3128"})
    assert (proxy.host, proxy.port, proxy.authorization) == ("proxy.example", 3128, None)


def test_a_proxy_may_be_named_without_a_scheme():
    assert proxy_for(URL, {"HTTPS_PROXY": "proxy.example"}).port == 8080


@pytest.mark.parametrize(
    "exceptions", ["*", "gateway.example", ".example", "other, example", "GATEWAY.example:443"]
)
def test_no_proxy_takes_hosts_out(exceptions):
    assert proxy_for(URL, {"HTTPS_PROXY": "http://p:1", "NO_PROXY": exceptions}) is None


@pytest.mark.parametrize("exceptions", ["", "ple", "other.example", "gateway.example.org", " ,"])
def test_no_proxy_takes_out_no_other_hosts(exceptions):
    assert proxy_for(URL, {"HTTPS_PROXY": "http://p:1", "NO_PROXY": exceptions}) is not None


def test_plain_http_is_loopback_and_never_goes_through_a_proxy():
    assert proxy_for("http://127.0.0.1:80", {"HTTPS_PROXY": "http://p:1"}) is None


@pytest.mark.parametrize("url", ["socks5://p:1", "https://p:1", "http://", "http://p:port"])
def test_what_is_no_http_proxy_is_refused_without_showing_it(url):
    with pytest.raises(ConfigurationError, match="HTTPS_PROXY") as caught:
        proxy_for(URL, {"HTTPS_PROXY": url})
    assert url not in str(caught.value)


def test_credentials_of_a_proxy_are_not_shown():
    environment = {
        "TFY_GATEWAY_URL": URL,
        "TFY_API_KEY": "k" * 20,
        "HTTPS_PROXY": "http://jane:secret@p:1",
    }
    settings = gateway_settings(environment)
    assert settings.proxy.authorization.startswith("Basic ")
    assert "secret" not in repr(settings)
    assert settings.proxy.authorization not in repr(settings)


@pytest.mark.parametrize("content", [None, "not a certificate"])
def test_a_bundle_that_cannot_be_used_is_refused(tmp_path, content):
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigurationError, match="TFY_CA_BUNDLE"):
        certificates(str(path))

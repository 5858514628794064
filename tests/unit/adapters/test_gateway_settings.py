"""Gateway settings: what is refused before a request is made, and that no secret is repeated."""

import pytest

from tfy_last9.adapters.environment import gateway_settings, read_environment
from tfy_last9.errors import ConfigurationError

URL = "https://gateway.example/api/llm"


def settings(url=URL, key="sekret-key"):
    return gateway_settings({"TFY_GATEWAY_URL": url, "TFY_API_KEY": key})


@pytest.mark.parametrize("key", ["sekret\nkey", "sekr\u20act", "sekret key", " \n", "sekret\x7f"])
def test_a_key_no_header_can_carry_is_refused_without_repeating_it(key):
    """An HTTP library would print it in its own complaint: `Illegal header value b'Bearer ...'`."""
    with pytest.raises(ConfigurationError, match="TFY_API_KEY") as refused:
        settings(key=key)
    assert "sek" not in refused.value.message + str(refused.value.hint)


@pytest.mark.parametrize("key", ["sekret-key\n", " sekret-key\r\n", "Bearer sekret-key"])
def test_what_copying_adds_to_a_key_is_taken_off(key):
    assert settings(key=key).api_key == "sekret-key"


@pytest.mark.parametrize(
    "url",
    [
        "https://user:sekret@gateway.example",
        "https://sekret@gateway.example",
        "https://gateway.example/?key=sekret",
        "https://gateway.example/#sekret",
    ],
)
def test_a_url_with_a_credential_is_refused_without_repeating_it(url):
    """The URL is stored in run.json and printed: https://user:password@host would leak there."""
    with pytest.raises(ConfigurationError, match="TFY_GATEWAY_URL") as refused:
        settings(url=url)
    assert "sekret" not in refused.value.message + str(refused.value.hint)


@pytest.mark.parametrize("url", ["http://[::1", "https://gateway.example:99999", "ftp://x", "x"])
def test_what_is_no_url_is_a_configuration_error(url):
    with pytest.raises(ConfigurationError, match="TFY_GATEWAY_URL"):
        settings(url=url)


@pytest.mark.parametrize("url", [URL, f"{URL}/", f" {URL}\n"])
def test_a_url_keeps_its_path_and_loses_what_is_around_it(url):
    assert settings(url=url).url == URL


def test_plain_http_is_for_loopback_alone():
    assert settings(url="http://[::1]:8080").url == "http://[::1]:8080"
    with pytest.raises(ConfigurationError, match="unencrypted"):
        settings(url="http://gateway.example")


def test_a_dotenv_file_that_is_no_text_is_a_configuration_error(tmp_path):
    dotenv = tmp_path / ".env"
    dotenv.write_bytes(b"TFY_API_KEY=\xff\xfe\n")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_environment(dotenv)

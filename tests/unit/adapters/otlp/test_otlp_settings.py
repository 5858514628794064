"""Export is opt-in, and what is missing is said before any load."""

import pytest

from tfy_last9.adapters.otlp.settings import OtlpSettings, otlp_settings
from tfy_last9.errors import ConfigurationError, MissingSettings

BOTH = {
    "LAST9_OTLP_ENDPOINT": "https://otlp.last9.io/v1/traces",
    "LAST9_OTLP_AUTH": "Basic YTpi",
}


def test_endpoint_and_header_alone_export_nothing():
    assert otlp_settings(BOTH) is None


@pytest.mark.parametrize("word", ["1", "true", "ON"])
def test_the_switch_or_the_flag_does(word):
    found = OtlpSettings("https://otlp.last9.io", "Basic YTpi")
    assert otlp_settings(BOTH | {"LAST9_OTLP_EXPORT": word}) == found
    assert otlp_settings(BOTH, wanted=True) == found


def test_the_flag_beats_the_switch():
    assert otlp_settings(BOTH | {"LAST9_OTLP_EXPORT": "1"}, wanted=False) is None


@pytest.mark.parametrize("name", list(BOTH))
def test_what_is_missing_is_named(name):
    with pytest.raises(MissingSettings, match=name):
        otlp_settings(BOTH | {name: ""}, wanted=True)


@pytest.mark.parametrize("value", ["YTpi", "Bearer YTpi", "basic YTpi", "Basic YT\npi"])
def test_a_header_without_its_first_word_is_refused_unrepeated(value):
    with pytest.raises(ConfigurationError, match="Basic") as caught:
        otlp_settings(BOTH | {"LAST9_OTLP_AUTH": value}, wanted=True)
    assert "YTpi" not in str(caught.value)


def test_a_header_never_travels_unencrypted():
    plain = BOTH | {"LAST9_OTLP_ENDPOINT": "http://otlp.example.com"}
    with pytest.raises(ConfigurationError, match="unencrypted"):
        otlp_settings(plain, wanted=True)


def test_a_switch_that_is_none_is_refused():
    with pytest.raises(ConfigurationError, match="LAST9_OTLP_EXPORT"):
        otlp_settings(BOTH | {"LAST9_OTLP_EXPORT": "maybe"})


def test_the_header_is_not_shown():
    assert "YTpi" not in repr(otlp_settings(BOTH, wanted=True))

"""`LAST9_*` variables: what is taken, what is refused, what is never shown."""

import pytest

from tfy_last9.adapters.last9.settings import Last9Settings, from_environment
from tfy_last9.errors import ConfigurationError, ExitCode


@pytest.mark.parametrize("variables", [{}, {"LAST9_REFRESH_TOKEN": "  "}, {"LAST9_ORG": "acme"}])
def test_without_a_token_there_are_no_settings(variables):
    assert from_environment(variables) is None


def test_every_variable_is_taken():
    assert from_environment(
        {
            "LAST9_REFRESH_TOKEN": " Bearer a.b.c\n",
            "LAST9_API_URL": "https://app.last9.io/api/",
            "LAST9_ORG": "acme",
            "LAST9_REGION": "us-east-1",
            "LAST9_SERVICE": "gw",
            "LAST9_PAGE_LIMIT": "100",
            "PATH": "/bin",
        }
    ) == Last9Settings("a.b.c", "https://app.last9.io", "acme", "us-east-1", "gw", 100)


def test_empty_variables_count_as_unset():
    found = from_environment(
        {"LAST9_REFRESH_TOKEN": "a.b.c", "LAST9_API_URL": "", "LAST9_ORG": " "}
    )
    assert found == Last9Settings("a.b.c")


def test_the_token_is_not_shown():
    assert "s3cret" not in repr(Last9Settings("s3cret"))


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080", "http://localhost", "http://[::1]:9"])
def test_plain_http_is_for_this_machine(url):
    found = from_environment({"LAST9_REFRESH_TOKEN": "a.b.c", "LAST9_API_URL": url})
    assert found is not None
    assert found.api_url == url


@pytest.mark.parametrize(
    "url",
    ["http://app.last9.io", "app.last9.io", "ftp://x", "https://", "https://user:pw@app.last9.io"],
)
def test_an_address_that_would_expose_the_token_is_refused(url):
    with pytest.raises(ConfigurationError) as caught:
        from_environment({"LAST9_REFRESH_TOKEN": "a.b.c", "LAST9_API_URL": url})
    assert caught.value.exit_code == ExitCode.CONFIGURATION
    assert "pw" not in str(caught.value)


@pytest.mark.parametrize("token", ["Basic dXNlcjpwYXNz", "a.b\n.c", "two words", "tökén"])
def test_a_wrong_credential_is_recognised_and_not_repeated(token):
    with pytest.raises(ConfigurationError) as caught:
        from_environment({"LAST9_REFRESH_TOKEN": token})
    assert token not in str(caught.value)


@pytest.mark.parametrize("limit", ["0", "-1", "many", "1.5"])
def test_a_page_limit_is_a_positive_number(limit):
    with pytest.raises(ConfigurationError, match="PAGE_LIMIT"):
        from_environment({"LAST9_REFRESH_TOKEN": "a.b.c", "LAST9_PAGE_LIMIT": limit})


SAFE = {"LAST9_REFRESH_TOKEN": "a.b.c"}


def test_reading_can_be_bounded_and_steered():
    found = from_environment(
        {
            **SAFE,
            "LAST9_PARALLEL": "8",
            "LAST9_MAX_MB": "100",
            "LAST9_SELECT": "off",
            "LAST9_ROWS_MAX": "1000",
            "LAST9_STRATEGY": "counts",
            "LAST9_CHANGE_EVENTS": "1",
        }
    )
    assert found is not None
    assert (found.parallel, found.max_mb, found.select) == (8, 100, False)
    assert (found.rows_max, found.strategy, found.change_events) == (1000, "counts", True)


def test_by_default_nothing_is_written_to_last9():
    found = from_environment(SAFE)
    assert found is not None
    assert (found.select, found.strategy, found.change_events) == (True, "auto", False)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LAST9_PARALLEL", "0"),
        ("LAST9_PARALLEL", "17"),
        ("LAST9_MAX_MB", "-1"),
        ("LAST9_SELECT", "maybe"),
        ("LAST9_STRATEGY", "some"),
        ("LAST9_CHANGE_EVENTS", "yes please"),
    ],
)
def test_a_setting_that_means_nothing_is_refused_by_name(name, value):
    with pytest.raises(ConfigurationError, match=name):
        from_environment({**SAFE, name: value})

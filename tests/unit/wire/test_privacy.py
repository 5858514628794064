"""Nothing that someone said, nothing that opens a door, nobody's name."""

import pytest

from tfy_last9.wire.privacy import bare_url, error_template, presentable, pseudonym


@pytest.mark.parametrize(
    "key",
    [
        "tfy.input",
        "tfy.output",
        "tfy.input_short_hand",
        "tfy.output_short_hand",
        "gen_ai.input.messages",
        "gen_ai.output.messages",
        "gen_ai.system_instructions",
        "gen_ai.content.prompt",
        "gen_ai.prompt.0.content",
        "gen_ai.completion.0.content",
        "tfy.prompt_variables",
        "input.value",
        "http.request.header.authorization",
        "Authorization",
        "some.api_key",
        "url.query",
    ],
)
def test_content_and_credentials_are_dropped(key):
    assert presentable({key: "Summarise my diary", "keep": 1}) == {"keep": 1}


@pytest.mark.parametrize(
    "key",
    [
        "tfy.request.created_by_subject",
        "tfycreatedbysubject",
        "user.id",
        "user.email",
        "enduser.id",
        "user",
        "client.address",
    ],
)
def test_identities_become_hashes(key):
    kept = presentable({key: "alice@example.com"})
    assert kept == {key: pseudonym("alice@example.com")}
    assert "alice" not in str(kept)


@pytest.mark.parametrize("value", ["alice", {"slug": "alice", "type": "user"}, ["alice"]])
def test_an_identity_of_any_shape_is_hashed_the_same_way_twice(value):
    first, second = (presentable({"tfy.request.created_by_subject": value}) for _ in range(2))
    assert first == second
    assert "alice" not in str(first)


def test_different_identities_stay_apart():
    assert pseudonym("alice") != pseudonym("bob")


def test_metrics_and_labels_survive():
    kept = {
        "tfy.model.metric.input_tokens": 812,
        "tfy.model.metric.cache_read_input_tokens": 5,
        "gen_ai.usage.input_tokens": 3,
        "gen_ai.request.max_tokens": 20,
        "tfy.model.name": "openai-main/gpt-4o-mini",
        "tfy.request.created_by_subject_teams": ["platform"],
        "team": "platform",
        "tenant_id": "customer-abc",
    }
    assert presentable(kept) == kept


def test_identities_inside_metadata_are_hashed():
    kept = presentable({"tfy.request.metadata": {"user": "alice", "run_id": "r-42"}})
    assert kept["tfy.request.metadata"] == {"run_id": "r-42", "user": pseudonym("alice")}


def test_a_key_in_an_upstream_address_is_cut_off():
    """Gemini's API takes the key in the query."""
    kept = presentable({"tfy.model.request_url": "https://u:p@h.example/v1?key=AIzaSECRET#x"})
    assert kept == {"tfy.model.request_url": "https://h.example/v1"}
    assert bare_url("POST https://h.example/v1?key=AIzaSECRET") == "POST https://h.example/v1"


@pytest.mark.parametrize(
    ("text", "template"),
    [
        ("openai error: 503 Service Unavailable", "openai error: 503 Service Unavailable"),
        ("Rate limit for alice@example.com: 20000 of 12345", "Rate limit for <email>: <n> of <n>"),
        ("request 019e88d3d58b72289db404b486e0e151 failed", "request <id> failed"),
        ('invalid prompt "tell me a secret"', "invalid prompt <text>"),
        ("Incorrect API key provided: sk-proj-abcdefgh1234", "Incorrect API key provided: <key>"),
        ("GET https://api.example/v1?x=1 timed out", "GET <url> timed out"),
    ],
)
def test_error_texts_become_templates_that_keep_status_codes(text, template):
    assert error_template(text) == template


def test_a_template_is_short():
    assert len(error_template("word " * 500)) <= 200

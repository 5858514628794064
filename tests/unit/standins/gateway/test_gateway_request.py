import json

import pytest
from gateway_settings import policies_with

from tfy_last9.standins.gateway import request
from tfy_last9.standins.gateway.admission import admit
from tfy_last9.standins.gateway.endpoints import endpoint
from tfy_last9.standins.gateway.envelope import Rejection, provider_error, unauthorized
from tfy_last9.standins.gateway.formats.chat import Chat
from tfy_last9.standins.gateway.formats.plain import PLAIN
from tfy_last9.standins.gateway.identity import VIRTUAL_ACCOUNT, Identity
from tfy_last9.standins.gateway.story import Story

MODEL = "openai-main/gpt-4o-mini"
MESSAGES = [{"role": "user", "content": "hi"}]


def scope(**headers: str):
    pairs = [(k.replace("_", "-").encode(), v.encode()) for k, v in headers.items()]
    return {"headers": pairs}


def admitted(body, path="/chat/completions", identity=VIRTUAL_ACCOUNT, **headers):
    """Admit a request as the gateway does; returns it with the story that was noted."""
    story = Story(1, 2, None, received_ns=0, wall_offset_ns=0)
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    found = endpoint(path, "POST")
    return admit(found, scope(**headers), raw, story, identity, policies_with()).request, story


def test_a_complete_request_is_admitted_with_its_switches():
    body = {"model": MODEL, "messages": MESSAGES, "stream": True}
    found, story = admitted(
        body | {"stream_options": {"include_usage": True}},
        x_tfy_request_timeout="1500",
        x_tfy_ttft_timeout_ms="250",
    )
    assert found.targets[0].target == MODEL
    assert found.streaming
    assert found.wants_usage
    assert found.request_timeout_s == 1.5
    assert found.ttft_timeout_s == 0.25
    assert (story.requested_model, story.input_short) == (MODEL, "hi")


def test_the_provider_is_asked_for_its_own_model_and_always_for_usage():
    body = {"model": MODEL, "messages": MESSAGES, "stream": True, "seed": 4}
    found, _ = admitted(body)
    sent = json.loads(Chat().body(found, found.targets[0].card))
    assert sent["model"] == "gpt-4o-mini"
    assert sent["stream_options"] == {"include_usage": True}
    assert sent["seed"] == 4


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"{", "not valid JSON"),
        (b"[]", "JSON object"),
        (b'{"messages": []}', "model: required"),
        (b'{"model": "openai-main/gpt-4o-mini"}', "messages: required"),
        (b'{"model": "openai-main/gpt-4o-mini", "messages": []}', "messages: required"),
        (b'{"model": "openai-main/gpt-4o-mini", "messages": [{}]}', r"messages\[0\].role"),
        (
            b'{"model": "openai-main/gpt-4o-mini", "messages": [{"role": "user"}], "max_tokens": 0}',
            "max_tokens",
        ),
        (
            b'{"model": "openai-main/gpt-4o-mini", "messages": [{"role": "user"}], "stream": "yes"}',
            "stream",
        ),
    ],
)
def test_a_body_that_cannot_be_served_is_a_400(raw, message):
    with pytest.raises(Rejection, match=message) as caught:
        admitted(raw)
    assert caught.value.status == 400


@pytest.mark.parametrize(
    ("path", "missing"),
    [
        ("/completions", "prompt"),
        ("/messages", "messages"),
        ("/responses", "input"),
        ("/embeddings", "input"),
        ("/rerank", "query"),
        ("/images/generations", "prompt"),
        ("/gemini/gemini-main/proxy/v1beta/models/gemini-2.5-flash:generateContent", "contents"),
    ],
)
def test_each_endpoint_names_what_it_misses(path, missing):
    with pytest.raises(Rejection, match=f"{missing}: required"):
        admitted({"model": MODEL}, path)


def test_an_unknown_model_is_a_403_that_does_not_tell_unknown_from_forbidden():
    with pytest.raises(Rejection) as caught:
        admitted({"model": "openai-main/gpt-9", "messages": MESSAGES})
    assert caught.value.document()["error"] == {
        "message": "User sandbox-virtual-account is not authorized to access model "
        "openai-main/gpt-9 or model does not exist",
        "type": "AuthorizationError",
        "code": "403",
    }


def test_a_caller_reaches_only_the_accounts_it_was_given():
    limited = Identity("limited", accounts=frozenset({"openai-main"}))
    assert admitted({"model": MODEL, "messages": MESSAGES}, identity=limited)
    with pytest.raises(Rejection, match="User limited is not authorized"):
        admitted(
            {"model": "mistral-main/mistral-small-latest", "messages": MESSAGES}, identity=limited
        )


def test_the_account_may_come_in_a_header():
    found, _ = admitted(
        {"model": "gpt-4o-mini", "input": "hi"}, "/responses", x_tfy_provider_name="openai-main"
    )
    assert found.model == MODEL


def test_a_form_is_passed_on_with_the_vendors_name_of_the_model():
    form = (
        b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nopenai-main/whisper-1\r\n'
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n'
        b"Content-Type: audio/wav\r\n\r\nRIFF\r\n--b--\r\n"
    )
    path = "/audio/transcriptions"
    found, story = admitted(form, path, content_type="multipart/form-data; boundary=b")
    assert found.model == "openai-main/whisper-1"
    assert json.loads(story.input_json) == {"file": "(file)"}
    assert PLAIN[path].body(found, found.targets[0].card) == form.replace(b"openai-main/", b"")


def test_metadata_is_an_object_of_short_strings():
    assert request.read_metadata(scope(x_tfy_metadata='{"run_id":"r"}')) == {"run_id": "r"}
    assert request.read_metadata(scope()) == {}
    for bad in ("[]", "{", '{"n": 1}', json.dumps({"k": "x" * 129})):
        with pytest.raises(Rejection) as caught:
            request.read_metadata(scope(x_tfy_metadata=bad))
        assert caught.value.status == 400


def test_logging_can_be_switched_off_per_request():
    assert request.wants_trace(scope())
    assert request.wants_trace(scope(x_tfy_logging_config='{"enabled": true}'))
    assert not request.wants_trace(scope(x_tfy_logging_config='{"enabled": false}'))


def test_only_provider_errors_name_a_provider():
    document = provider_error("openai", 503, "overloaded").document()
    assert document["provider"] == "openai"
    assert document["error_origin_level"] == "api_error"
    assert document["message"] == document["error"]["message"] == "openai error: overloaded"
    assert document["error"]["type"] == "APIError"
    refused = unauthorized().document()
    assert "provider" not in refused
    assert refused["error_origin_level"] == "authentication"

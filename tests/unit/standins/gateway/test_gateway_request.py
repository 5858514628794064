import json

import pytest

from tfy_last9.standins.gateway import request
from tfy_last9.standins.gateway.envelope import Rejection, provider_error, unauthorized

MODEL = "openai-main/gpt-4o-mini"
MESSAGES = [{"role": "user", "content": "hi"}]


def scope(**headers: str):
    pairs = [(k.replace("_", "-").encode(), v.encode()) for k, v in headers.items()]
    return {"headers": pairs}


def test_a_complete_request_is_admitted_with_its_switches():
    body = {"model": MODEL, "messages": MESSAGES, "stream": True}
    admitted = request.admit(
        scope(x_tfy_request_timeout="1500", x_tfy_ttft_timeout_ms="250"),
        body | {"stream_options": {"include_usage": True}},
    )
    assert admitted.card.name == MODEL
    assert admitted.streaming
    assert admitted.wants_usage
    assert admitted.request_timeout_s == 1.5
    assert admitted.ttft_timeout_s == 0.25


def test_the_provider_is_asked_for_its_own_model_and_always_for_usage():
    body = {"model": MODEL, "messages": MESSAGES, "stream": True, "seed": 4}
    sent = json.loads(request.upstream_body(request.admit(scope(), body)))
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
        request.admit(scope(), request.parse_body(raw))
    assert caught.value.status == 400


def test_an_unknown_model_is_a_403_that_does_not_tell_unknown_from_forbidden():
    with pytest.raises(Rejection) as caught:
        request.admit(scope(), {"model": "openai-main/gpt-9", "messages": MESSAGES})
    assert caught.value.document()["error"] == {
        "message": "User sandbox-virtual-account is not authorized to access model "
        "openai-main/gpt-9 or model does not exist",
        "type": "AuthorizationError",
        "code": "403",
    }


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

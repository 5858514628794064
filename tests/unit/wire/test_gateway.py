"""TrueFoundry's headers and error envelope in all the shapes clients have met."""

import base64
import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfy_last9.model.request import Outcome
from tfy_last9.wire.gateway import metadata_header, read_refusal, read_target_id, template
from tfy_last9.wire.gateway_note import read_note
from tfy_last9.wire.traceparent import trace_ids, traceparent

TRACE, SPAN = "019ab2a96d50707fa3090c1b7201d5bd", "a2d6b882aa15be55"
IDS = {"spanId": SPAN, "traceId": TRACE, "dataRoutingDestination": "default"}
PLAIN = base64.b64encode(json.dumps(IDS).encode()).decode()
NESTED = base64.urlsafe_b64encode(json.dumps({"target": IDS}).encode()).decode()


@pytest.mark.parametrize(
    "value",
    [
        PLAIN,
        PLAIN.rstrip("="),
        quote(PLAIN),
        f'"{PLAIN}"',
        NESTED,
        NESTED.rstrip("="),
        base64.b64encode(json.dumps({"traceId": TRACE.upper(), "spanId": SPAN}).encode()).decode(),
    ],
)
def test_the_target_id_is_read_in_every_known_form(value):
    assert read_target_id(value) == (TRACE, SPAN)


@given(st.text(max_size=80) | st.none())
def test_any_other_header_value_is_no_trace_id(value):
    found = read_target_id(value)
    assert found is None or len(found.trace_id) == 32


def test_a_trace_id_of_the_wrong_length_is_refused():
    short = base64.b64encode(json.dumps({"traceId": "abc", "spanId": SPAN}).encode()).decode()
    assert read_target_id(short) is None


def envelope(message, **more):
    return json.dumps({"status": "failure", "message": message, **more}).encode()


@pytest.mark.parametrize(
    ("status", "headers", "body", "outcome", "error_type"),
    [
        (
            401,
            {},
            envelope("Unauthorized: x", error_origin_level="authentication"),
            "rejected_auth",
            "http_401",
        ),
        (
            403,
            {},
            envelope("User x is not authorized", error={"type": "AuthorizationError"}),
            "rejected_auth",
            "AuthorizationError",
        ),
        (403, {}, b"error code: 1010", "rejected_auth", "cloudflare_1010"),
        (
            429,
            {"x-tfy-applied-rules": '{"budget": "team-a"}'},
            envelope("too much"),
            "rejected_budget",
            "budget",
        ),
        (
            429,
            {},
            b'[{"error": {"code": 429, "message": "gemini error: quota", "status": "RESOURCE_EXHAUSTED"}}]',
            "provider_error",
            "provider_429",
        ),
        (
            429,
            {},
            envelope("Rate limit exceeded for model: m with rule: r", provider="openai"),
            "rejected_rate_limit",
            "rate_limit",
        ),
        (
            429,
            {},
            envelope("slow", error_origin_level="api_error"),
            "provider_error",
            "provider_429",
        ),
        (
            400,
            {},
            envelope("Output Guardrail checks failed for x"),
            "rejected_guardrail",
            "guardrail",
        ),
        (408, {}, envelope("TTFT timeout of 500 ms"), "timeout", "gateway_ttft_timeout"),
        (408, {}, envelope("x", provider="openai"), "provider_error", "provider_408"),
        (
            529,
            {},
            b'{"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}',
            "http_error",
            "overloaded_error",
        ),
        (
            400,
            {},
            envelope(
                "Input Guardrail checks failed",
                error={"type": "guardrail_checks_failed"},
                error_origin_level="guardrails_input",
            ),
            "rejected_guardrail",
            "guardrail_checks_failed",
        ),
        (
            429,
            {},
            envelope("Rate limit exceeded for model: m with rule: r"),
            "rejected_rate_limit",
            "rate_limit",
        ),
        (429, {"x-tfy-applied-rules": "{}"}, b"", "rejected_rate_limit", "rate_limit"),
        (429, {}, envelope("Budget exceeded for model: m"), "rejected_budget", "budget"),
        (
            429,
            {},
            envelope("openai error: slow down", provider="openai"),
            "provider_error",
            "provider_429",
        ),
        (503, {}, envelope("openai error: x", provider="openai"), "provider_error", "provider_503"),
        (
            502,
            {},
            envelope("bad", error_origin_level="api_error"),
            "provider_error",
            "provider_502",
        ),
        (
            401,
            {},
            envelope("openai error: key", provider="openai"),
            "provider_error",
            "provider_401",
        ),
        (408, {}, envelope("timeout"), "timeout", "gateway_timeout"),
        (503, {}, b"no healthy upstream", "http_error", "http_503"),
        (
            500,
            {},
            envelope("x", error=json.dumps({"type": "fetch", "message": "x"})),
            "http_error",
            "fetch",
        ),
        (500, {}, b"<html>", "http_error", "http_500"),
    ],
)
def test_refusals_are_told_apart(status, headers, body, outcome, error_type):
    refusal = read_refusal(status, headers, body)
    assert (refusal.outcome, refusal.error_type) == (Outcome(outcome), error_type)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"<html><head><title>502 Bad &amp; Gone</title></head><body>x</body>", "502 Bad & Gone"),
        (b"<p>no  <b>title</b></p>", "no title"),
        (b"  no healthy upstream\n", "no healthy upstream"),
        (b'{"detail": [{"msg": "field required"}]}', "field required"),
        (b'{"detail": "not found"}', "not found"),
        (b'{"message": "{\\"error\\": {\\"message\\": \\"deep\\"}}"}', "deep"),
        (b'"just text"', "just text"),
        (b'{"jsonrpc": "2.0", "id": null, "error": {"code": -32600, "message": "bad"}}', "bad"),
        (b"", ""),
        (b'{"error": {"error": {"error": {"error": {"error": {"message": "abyss"}}}}}}', ""),
    ],
)
def test_a_message_is_found_in_every_shape(body, message):
    assert read_refusal(500, {}, body).message == message


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_no_body_breaks_the_reader_of_errors(body):
    assert len(read_refusal(500, {}, body).message) <= 200


def test_headers_are_read_into_one_note():
    note = read_note(
        {
            "x-tfy-feedback-target-id": PLAIN,
            "x-tfy-applied-rules": '{"complexity": {"tier": "s", "cause": null}, "order": ["a/b", "c/d"]}',
            "x-tfy-applied-configurations": quote('{"resolved_model": "a/b"}'),
            "x-tfy-cache-status": "HIT",
            "server-timing": 'auth;dur=1.5, rate-limit;desc="a, b";dur=0.5, model;dur=300, total;dur=302, x',
        }
    )
    assert note.ids == (TRACE, SPAN)
    assert (note.resolved_model, note.cache_status, note.gateway_ms) == ("a/b", "hit", 2.0)
    assert note.applied_rules == "complexity.tier=s; order=a/b; order=c/d; resolved_model=a/b"


@pytest.mark.parametrize("value", ["", "{}", "[]", "not json", "%7B%7D", "null", "[1, [2]]"])
def test_odd_rules_are_no_trouble(value):
    note = read_note({"x-tfy-applied-rules": value, "server-timing": value})
    assert (note.resolved_model, note.gateway_ms) == (None, None)


def test_error_texts_are_reduced_to_templates():
    """Keys, ids and identities must not reach the run folder."""
    text = "User 'alice' (alice@example.com) key sk-abc123def456ghi789 asked 019ab2a96d50707fa3090c1b7201d5bd"
    reduced = template(text)
    for secret in ("alice", "sk-abc", "019ab2"):
        assert secret not in reduced


def test_metadata_is_ascii_json_with_bounded_values():
    value = metadata_header({"team": "größe", "long": "x" * 500})
    value.encode("ascii")
    assert json.loads(value) == {"team": "größe", "long": "x" * 128}


def test_traceparent_follows_the_w3c_form():
    trace_id, span_id = trace_ids("run.1")
    assert traceparent(trace_id, span_id) == f"00-{trace_id}-{span_id}-01"
    assert (len(trace_id), len(span_id)) == (32, 16)
    assert trace_ids("run.1") == (trace_id, span_id) != trace_ids("run.2")

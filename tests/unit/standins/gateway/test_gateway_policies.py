"""What the configuration does to requests, seen in answers, headers and exported spans."""

import json
from pathlib import Path

import pytest
from gateway_world import request, world

from tfy_last9.standins.providers.vendors import Speed

SAMPLE = (Path(__file__).parents[3] / "data" / "gateway.yaml").read_text()
MODEL = "openai-main/gpt-4o-mini"
GUARDED = {"metadata": {"guarded": "yes"}}
SECRET = "my key is sk-abcdefgh12"
OPENAI, ANTHROPIC = "openai-main/gpt-4o-mini", "anthropic-main/claude-sonnet-4-6"
SLOW = Speed(0.3, 0.001)


def asking(model=MODEL, content="Why is the sky blue?", headers=None, metadata=None, **more):
    """Describe one chat."""
    body = {"model": model, "messages": [{"role": "user", "content": content}], "max_tokens": 4}
    labels = json.dumps({"run_id": "r1"} | (metadata or {}))
    named = {"x-tfy-metadata": labels} | (headers or {})
    return request("/chat/completions", body | more, **named)


def statuses(spans):
    return [span.attributes.get("http.response.status_code") for span in spans]


def rules(answer, name="rules"):
    return json.loads(answer.headers[f"x-tfy-applied-{name}"])


def test_a_fallback_after_a_retry_leaves_failed_siblings_under_an_ok_root(tmp_path):
    found = world(
        tmp_path, asking("prod/chat", stream=True), config=SAMPLE, faults=["provider_down:openai"]
    )
    (answer,) = found.answers
    (root,), models = found.of(0, "ChatCompletion"), found.of(0, "Model")
    assert (answer.status, answer.headers["x-tfy-resolved-model"]) == (200, ANTHROPIC)
    assert rules(answer)["routing_model_order"] == [OPENAI, ANTHROPIC]
    assert rules(answer, "configurations")["fallback"] == [OPENAI, OPENAI]
    assert "server-timing" not in answer.headers
    assert root.status == "OK"
    assert root.attributes["tfy.loadbalance.first_target"] == OPENAI
    assert root.attributes["tfy.model.name"] == ANTHROPIC
    assert root.attributes["applied_loadbalance_rule_ids"] == ["prod/chat"]
    assert statuses(models) == [503, 503, 200]
    assert [model.parent for model in models] == [root.span_id] * 3
    assert len(found.of(0, "HTTP")) == 3


def test_retries_can_share_a_model_span(tmp_path):
    found = world(
        tmp_path,
        asking("prod/chat"),
        config=SAMPLE,
        faults=["provider_down:openai"],
        flags=["--retry-spans=http"],
    )
    first, second = found.of(0, "Model")
    inside = [span for span in found.of(0, "HTTP") if span.parent == first.span_id]
    assert statuses([first, second]) == [503, 200]
    assert statuses(inside) == [503, 503]


def test_after_two_failures_the_target_is_not_tried_first_any_more(tmp_path):
    asked = [asking("prod/chat") for _ in range(3)]
    found = world(tmp_path, *asked, config=SAMPLE, faults=["provider_down:openai"])
    assert [len(found.of(k, "Model")) for k in range(3)] == [3, 1, 1]


def test_weights_are_exact_and_sessions_stay(tmp_path):
    free = [asking("prod/canary") for _ in range(20)]
    session = [asking("prod/canary", metadata={"session_id": "s"}) for _ in range(20)]
    found = world(tmp_path, *free, *session, config=SAMPLE)
    served = [answer.headers["x-tfy-resolved-model"] for answer in found.answers]
    assert served[:20].count("openai-canary/gpt-4o-mini") == 2
    assert len(set(served[20:])) == 1


def test_a_gateway_limit_on_a_target_is_a_429_without_a_request_and_leads_to_a_fallback(tmp_path):
    capped = {"metadata": {"tier": "capped"}}
    found = world(
        tmp_path, asking("prod/chat", **capped), asking("prod/chat", **capped), config=SAMPLE
    )
    failed, served = found.of(1, "Model")
    (http,) = found.of(1, "HTTP")
    assert statuses([failed, served]) == [429, 200]
    assert (
        failed.attributes["tfy.error_message"]
        == f"Rate limit exceeded for model: {OPENAI} with rule: openai-primary"
    )
    assert http.parent == served.span_id
    (root,) = found.of(1, "ChatCompletion")
    assert root.attributes["applied_ratelimit_rule_ids"] == ["openai-primary"]


@pytest.mark.parametrize("tree", ["root", "model"])
def test_a_limit_refuses_with_the_documented_message_and_rule(tmp_path, tree):
    asked = [asking(metadata={"tier": "guest"}) for _ in range(4)]
    found = world(tmp_path, *asked, config=SAMPLE, flags=[f"--rejected-spans={tree}"])
    assert [answer.status for answer in found.answers] == [200, 200, 200, 429]
    refused = found.answers[3]
    assert refused.json["message"] == f"Rate limit exceeded for model: {MODEL} with rule: guests"
    assert rules(refused) == {"rate_limit": ["guests"]}
    assert len(found.of(3, "Model")) == (tree == "model")
    assert found.of(3, "HTTP") == []
    assert found.of(3, "ChatCompletion")[0].status == "ERROR"
    assert found.metric('ai_gateway_rate_limit_applied_total{ruleId="guests"}') == 1
    assert found.metric('ai_gateway_rate_limit_nominated_total{ruleId="guests"}') == 4


def test_a_budget_refuses_once_it_is_used_up(tmp_path):
    trial = {"metadata": {"tier": "trial"}}
    found = world(tmp_path, asking(**trial), asking(**trial), config=SAMPLE)
    assert [answer.status for answer in found.answers] == [200, 429]
    assert (
        found.answers[1].json["message"] == f"Budget exceeded for model: {MODEL} with rule: trial"
    )
    assert rules(found.answers[1]) == {"budget": ["trial"]}
    (root,) = found.of(1, "ChatCompletion")
    assert root.attributes["applied_budget_rule_ids"] == ["trial", "watched"]
    assert found.metric('ai_gateway_budget_usage{ruleId="watched"}') > 0


@pytest.mark.parametrize("stream", [False, True])
def test_a_guardrail_refuses_while_the_model_is_still_asked(tmp_path, stream):
    found = world(
        tmp_path, asking(content=SECRET, stream=stream, **GUARDED), config=SAMPLE, speed=SLOW
    )
    (answer,) = found.answers
    body = answer.json
    assert answer.status == 400
    assert body["message"] == "Input Guardrail checks failed for integrations: [safety/secrets]"
    assert body["error"] == {
        "message": body["message"],
        "type": "guardrail_checks_failed",
        "code": "400",
    }
    assert body["error_origin_level"] == "guardrails_input"
    (check,) = body["guardrail_checks"]["input_guardrails"]
    assert (check["guardrail_integration"], check["result"]) == ("safety/secrets", "failed")
    (root,), (model,) = found.of(0, "ChatCompletion"), found.of(0, "Model")
    assert root.status == "ERROR"
    assert model.status == "UNSET", "the provider did nothing wrong"
    assert set(root.attributes["tfy.triggered_guardrail_fqns"]) == {
        "safety/secrets",
        "safety/emails",
        "safety/tone",
    }


def test_an_audit_lets_pass_and_a_mutation_changes_what_the_model_gets(tmp_path):
    found = world(
        tmp_path, asking(content="you stupid, write to a.b@example.com", **GUARDED), config=SAMPLE
    )
    results = {
        span.attributes["tfy.guardrail.fqn"]: span.attributes["tfy.guardrail.result"]
        for span in found.of(0, "Guardrail")
        if span.attributes["tfy.guardrail.applied_on_entity.scope"] == "llm_input"
    }
    assert found.answers[0].status == 200
    assert results == {"safety/emails": "mutate", "safety/tone": "flag", "safety/secrets": "pass"}
    assert found.of(0, "ChatCompletion")[0].status == "OK"
    assert found.journal[-1]["outcome"] == "ok", (
        "checks beside the call do not look like a client that left"
    )
    assert (
        found.metric(
            'ai_gateway_guardrail_requests_total{guardrail_fqn="safety/tone",result="flag"}'
        )
        == 1
    )


OUTPUT = """
type: provider-account/guardrail-config-group
name: safety
integrations:
  - type: integration/guardrail-config/sandbox
    name: {name}
    operation: {operation}
    config: {{pattern: "[a-z]+"}}
---
type: gateway-guardrails-config
name: g
rules: [{{id: all, llm_output_guardrails: [safety/{name}]}}]
"""


def test_output_guardrails_block_and_mutate_whole_answers(tmp_path):
    blocked = world(tmp_path, asking(), config=OUTPUT.format(name="words", operation="validate"))
    (answer,) = blocked.answers
    assert answer.status == 400
    assert answer.json["error_origin_level"] == "guardrails_output"
    assert statuses(blocked.of(0, "Model")) == [200]
    changed = world(tmp_path, asking(), config=OUTPUT.format(name="words", operation="mutate"))
    content = changed.answers[0].json["choices"][0]["message"]["content"]
    assert set(content.split()) == {"[redacted]"}


@pytest.mark.parametrize(("switch", "status"), [("skip", 200), ("buffer", 400)])
def test_output_guardrails_skip_streams_or_hold_them_back(tmp_path, switch, status):
    config = OUTPUT.format(name="words", operation="validate")
    found = world(
        tmp_path, asking(stream=True), config=config, flags=[f"--stream-output-guardrails={switch}"]
    )
    assert found.answers[0].status == status


def test_guardrails_can_be_asked_for_by_header(tmp_path):
    named = {"x-tfy-guardrails": '{"llm_input_guardrails": ["safety/secrets"]}'}
    unknown = {"x-tfy-guardrails": '{"llm_input_guardrails": ["no/such"]}'}
    found = world(
        tmp_path, asking(content=SECRET, headers=named), asking(headers=unknown), config=SAMPLE
    )
    first, second = found.answers
    assert (first.status, second.status) == (400, 400)
    assert first.json["error"]["type"] == "guardrail_checks_failed"
    assert "unknown guardrail 'no/such'" in second.json["message"]


CACHED = {"headers": {"x-tfy-cache-config": '{"type": "exact-match", "ttl": 60}'}}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("tree", ["root", "model"])
def test_the_same_question_is_answered_from_the_cache(tmp_path, stream, tree):
    asked = [asking(stream=stream, **CACHED) for _ in range(2)] + [
        asking(content="other", stream=stream, **CACHED)
    ]
    found = world(tmp_path, *asked, flags=[f"--cache-hit-tree={tree}"])
    first, second, third = found.answers
    assert [answer.headers["x-tfy-cache-status"] for answer in found.answers] == [
        "miss",
        "hit",
        "miss",
    ]
    assert second.text == first.text != third.text
    requests = [line for line in found.journal if line["event"] == "request"]
    assert second.headers["x-tfy-cached-trace-id"] == requests[0]["trace_id"]
    assert [line["cache"] for line in requests] == ["miss", "hit", "miss"]
    assert len(found.of(1, "Model")) == (tree == "model")
    assert found.of(1, "HTTP") == []
    assert sum(line["event"] == "answer" for line in found.journal) == 2


def semantic(content, **more):
    config = {"type": "semantic", "similarity_threshold": 0.8} | more
    return asking(content=content, headers={"x-tfy-cache-config": json.dumps(config)})


def test_a_similar_question_is_answered_from_the_semantic_cache(tmp_path):
    found = world(
        tmp_path,
        semantic("Why is the sky blue?"),
        semantic("why is the sky so blue"),
        semantic("why is the sky so blue", similarity_threshold=0.95),
        semantic("How deep is the sea?"),
        semantic("Why is the sky blue?", namespace="other"),
    )
    statuses = [answer.headers["x-tfy-cache-status"] for answer in found.answers]
    assert statuses == ["miss", "hit", "miss", "miss", "miss"]
    hit = found.answers[1]
    assert 0.8 < float(hit.headers["x-tfy-cache-similarity-score"]) < 0.95
    assert hit.headers["x-tfy-cached-trace-id"] == found.lines("request")[0]["trace_id"]
    assert hit.json["id"] == found.answers[0].json["id"]
    assert len(found.lines("answer")) == 4, "the provider was not asked for the hit"


def test_a_semantic_lookup_without_words_is_an_error_and_asks_the_model(tmp_path):
    asked = semantic([{"type": "image_url", "image_url": {"url": "data:,x"}}])
    found = world(tmp_path, asked)
    assert (found.answer.status, found.answer.headers["x-tfy-cache-status"]) == (200, "error")


def test_a_late_first_token_is_a_408_and_falls_back_whatever_the_codes_say(tmp_path):
    config = SAMPLE.replace("sla_cutoff:", "fallback_status_codes: [500]\n          sla_cutoff:")
    hurried = {"headers": {"x-tfy-ttft-timeout-ms": "400"}}
    found = world(
        tmp_path,
        asking("prod/chat", stream=True, **hurried),
        config=config,
        faults=["provider_latency:openai=2s"],
        flags=["--timeout-spans=model"],
    )
    assert found.answers[0].headers["x-tfy-resolved-model"] == ANTHROPIC
    late, served = found.of(0, "Model")
    assert statuses([late, served]) == [408, 200]
    (http,) = found.of(0, "HTTP")
    assert http.parent == served.span_id


@pytest.mark.parametrize(
    ("mode", "header", "traced"),
    [
        ("header", "false", False),
        ("header", "true", True),
        ("always", "false", True),
        ("never", "true", False),
    ],
)
def test_what_is_logged_depends_on_the_mode_and_the_header(tmp_path, mode, header, traced):
    config = f"type: sandbox/gateway\nrequest_logging_mode: {mode}"
    switched = {"headers": {"x-tfy-logging-config": f'{{"enabled": {header}}}'}}
    found = world(tmp_path, asking(**switched), config=config)
    assert bool(found.spans) is traced
    assert found.metric('ai_gateway_span_drops_total{reason="should_trace_false"}') == (
        0 if traced else 3
    )


def test_server_timing_names_the_stages_that_took_place(tmp_path):
    plain, routed = world(tmp_path, asking(), asking("prod/chat", **GUARDED), config=SAMPLE).answers
    assert {part.split(";")[0].strip() for part in plain.headers["server-timing"].split(",")} >= {
        "auth",
        "model",
    }
    stages = {part.split(";")[0].strip() for part in routed.headers["server-timing"].split(",")}
    assert stages == {"auth", "rate_limit", "budget", "guardrails", "load_balancing", "model"}


def test_virtual_models_are_listed_and_closed_targets_are_not_tried(tmp_path):
    found = world(tmp_path, asking("prod/none"), config=SAMPLE)
    assert found.answers[0].status == 403


def test_genai_alone_has_nothing_of_truefoundry(tmp_path):
    found = world(tmp_path, asking(stream=True), flags=["--attributes=genai"])
    keys = {key for span in found.spans for key in span.attributes}
    assert not [key for key in keys if key.startswith(("tfy.", "applied_"))]
    names = sorted(span.name for span in found.spans)
    assert names == [
        "POST /chat/completions",
        "POST https://api.openai.com/v1/chat/completions",
        "chat gpt-4o-mini",
    ]


@pytest.mark.parametrize(("encoding", "read"), [("json", json.loads), ("kvlist", dict)])
def test_metadata_is_encoded_as_the_switch_says(tmp_path, encoding, read):
    found = world(tmp_path, asking(), flags=[f"--metadata-encoding={encoding}"])
    (root,) = found.of(0, "ChatCompletion")
    assert read(root.attributes["tfy.request.metadata"])["run_id"] == "r1"

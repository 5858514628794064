"""The YAML file: what it means, and what is said about one that cannot be understood."""

from pathlib import Path

import pytest

from tfy_last9.standins.configuration import ConfigError
from tfy_last9.standins.gateway.policy.config import Enforcing, Logging, Strategy
from tfy_last9.standins.gateway.policy.reading import parse, read

SAMPLE = Path(__file__).parents[4] / "data" / "gateway.yaml"
VIRTUAL = """
type: provider-account/virtual-model
name: prod
integrations:
  - type: integration/model/virtual
    name: chat
    routing_config:
      type: {strategy}
      load_balance_targets: {targets}
"""


def virtual(targets, strategy="priority-based-routing"):
    return VIRTUAL.format(strategy=strategy, targets=targets)


def test_the_sample_file_is_understood_entirely():
    config = read(SAMPLE)
    chat, canary = config.virtual_models["prod/chat"], config.virtual_models["prod/canary"]
    assert config.virtual_models["chat"] is chat
    assert chat.fqn("acme") == "acme:virtual-model:prod:model:chat"
    assert [target.priority for target in chat.targets] == [0, 1, 2]
    assert chat.targets[0].retry_config.delay_s == 0.02
    assert not chat.targets[2].fallback_candidate
    assert canary.strategy is Strategy.WEIGHT
    assert canary.sticky.session_identifiers == (("metadata", "session_id"),)
    assert canary.targets[1].override_params == {"temperature": 0}
    assert config.rate_rules[0].per_s == 60
    assert config.rate_rules[0].applies_per == ("virtualaccount", "model")
    assert config.budget_rules[1].audit_mode
    assert config.guardrails["safety/tone"].enforcing is Enforcing.AUDIT
    assert config.guardrail_rules[0].asked["llm_output_guardrails"] == (
        config.guardrails["safety/secrets"],
    )
    assert (config.export.encoding, config.export.workers) == ("json", 2)
    assert config.export.resource["tenant_id"] == "acme"
    assert config.logging is Logging.HEADER


def test_defaults_are_the_documented_ones():
    (model,) = {
        m.name: m
        for m in parse(
            virtual("[{target: openai-main/gpt-4o-mini, priority: 0, retry_config: {}}]"), "f"
        ).virtual_models.values()
        if m.name.startswith("prod")
    }.values()
    target = model.targets[0]
    assert target.fallback_status_codes == {401, 403, 404, 408, 429, 500, 502, 503}
    assert target.retry_config.attempts == 2
    assert target.retry_config.delay_s == 0.1
    assert target.retry_config.on_status_codes == {429, 500, 502, 503}
    assert target.fallback_candidate


def test_the_default_virtual_model_is_there_with_and_without_a_file():
    assert "sandbox/chat-default" in read(None).virtual_models
    assert "sandbox/chat-default" in read(SAMPLE).virtual_models


def test_failures_are_remembered_as_documented_only_where_a_file_is_given():
    assert read(None).health.failures == 0
    assert parse("type: sandbox/gateway", "f").health.failures == 2
    assert parse("type: sandbox/gateway", "f").health.window_s == 120


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- 1", "f.yaml:1: : expected a mapping, saw a list"),
        ("a: 1", "a document with a type"),
        ("type: gateway-rate-limit-config", "did you mean 'gateway-rate-limiting-config'?"),
        ("type: [", "f.yaml:1: not YAML"),
        ("type: sandbox/gateway\nretries: 3", "f.yaml:2: unknown field 'retries'"),
        (
            "type: sandbox/gateway\nhealth: {failures: two}",
            "f.yaml:2: health.failures: expected a whole number from 0, saw 'two'",
        ),
        ("type: sandbox/gateway\ntype: sandbox/gateway", "f.yaml:2: 'type' is given twice"),
        (virtual("[]"), "at least one target"),
        (virtual("[{target: openai-main/gpt-4o-mini}]"), "'priority' is missing"),
        (
            virtual("[{target: openai/gpt-4o-mini, priority: 0}]"),
            "did you mean 'openai-main/gpt-4o-mini'?",
        ),
        (
            virtual("[{target: openai-main/gpt-4o-mini, weight: 60}]", "weight-based-routing"),
            "weights that sum to 100",
        ),
        (
            virtual(
                "[{target: openai-main/gpt-4o-mini, priority: 0, fallback_status_codes: [200]}]"
            ),
            "from 400 to 599",
        ),
        (virtual("[{target: prod/chat, priority: 0}]"), "expected one of"),
        (
            virtual("[{target: openai-main/gpt-4o-mini}]", "random-routing"),
            "expected one of weight-based-routing",
        ),
        (
            "type: gateway-rate-limiting-config\nname: x\nrules: [{id: a, limit_to: 1, unit: requests_per_second}]",
            "requests_per_minute",
        ),
        (
            "type: gateway-rate-limiting-config\nname: x\nrules:\n  - {id: a, limit_to: 1, unit: requests_per_day}\n  - {id: a, limit_to: 1, unit: requests_per_day}",
            "f.yaml:5: rules[1].id: expected an id of its own",
        ),
        (
            "type: gateway-rate-limiting-config\nname: x\nrules: [{id: a, limit_to: 1, unit: requests_per_day, rate_limit_applies_per: [team]}]",
            "at most 2 of user",
        ),
        (
            "type: gateway-guardrails-config\nname: x\nrules: [{id: a, llm_input_guardrails: [no/such]}]",
            "no guardrail is configured",
        ),
        (
            "type: provider-account/guardrail-config-group\nname: g\nintegrations: [{type: integration/guardrail-config/sandbox, name: n, operation: validate, config: {pattern: '('}}]",
            "a regular expression",
        ),
        (
            "type: gateway-otel-config\notel_traces_exporter_config: {type: grpc}",
            "expected one of http",
        ),
    ],
)
def test_what_cannot_be_understood_is_named_with_its_place(text, said):
    with pytest.raises(ConfigError) as refused:
        parse(text, "f.yaml")
    assert said in str(refused.value)
    assert str(refused.value).startswith("f.yaml")
    assert "\n" not in str(refused.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.yaml: cannot be read: No such file"):
        read(tmp_path / "none.yaml")

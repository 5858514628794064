"""From a YAML file to a Config: one document per TrueFoundry manifest, told apart by its `type`.

Two kinds of document are this sandbox's own: `sandbox/gateway`, for what TrueFoundry sets by environment
variables and chart values, and guardrails of the type `integration/guardrail-config/sandbox`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tfy_last9.standins.gateway.catalogue import BY_NAME
from tfy_last9.standins.gateway.policy.config import (
    BudgetRule,
    Config,
    Export,
    Guardrail,
    Health,
    Logging,
    RateRule,
    SpanFilter,
    VirtualModel,
)
from tfy_last9.standins.gateway.policy.document import Node, documents, read_text
from tfy_last9.standins.gateway.policy.routes import texts, virtual_model
from tfy_last9.standins.gateway.policy.rules import (
    budget_rule,
    guardrail,
    guardrail_rule,
    rate_rule,
    rules,
)

DEFAULT = """
type: provider-account/virtual-model
name: sandbox
integrations:
  - type: integration/model/virtual
    name: chat-default
    routing_config:
      type: priority-based-routing
      load_balance_targets:
        - {target: openai-main/gpt-4o-mini, priority: 0}
        - {target: anthropic-main/claude-sonnet-4-6, priority: 1}
        - {target: gemini-main/gemini-2.5-flash, priority: 2}
---
type: sandbox/gateway
health: {failures: 0}
"""
"""What is there without a file: one virtual model, which a file may replace, and no memory of failures, so
that every request meets the same order. With a file the documented health rule is in force."""


@dataclass(slots=True)
class _Draft:
    """What the documents read so far amount to."""

    virtual_models: dict[str, VirtualModel] = field(default_factory=dict)
    rate_rules: list[RateRule] = field(default_factory=list)
    budget_rules: list[BudgetRule] = field(default_factory=list)
    guardrails: dict[str, Guardrail] = field(default_factory=dict)
    guardrail_rules: list[Node] = field(default_factory=list)
    export: Node | None = None
    exporter: dict[str, Node] = field(default_factory=dict)
    health: Health = field(default_factory=Health)
    logging: Logging = Logging.HEADER


def read(path: Path | None) -> Config:
    """Read a file, or the defaults alone; raises ConfigError."""
    given = "" if path is None else read_text(path)
    return parse(given, str(path))


def parse(text: str, file: str) -> Config:
    """Read the text of a file; raises ConfigError."""
    draft = _Draft()
    for document in documents(DEFAULT, "(defaults)"):
        DOCUMENTS[document.mapping()["type"].text()](document, draft)
    defaults, draft.virtual_models = draft.virtual_models, {}
    if text:
        draft.health = Health()
    for document in documents(text, file):
        kind = document.mapping().get("type")
        if kind is None:
            document.fail(f"a document with a type: one of {', '.join(DOCUMENTS)}")
        DOCUMENTS[kind.text(DOCUMENTS)](document, draft)
    return Config(
        virtual_models=defaults | draft.virtual_models,
        rate_rules=tuple(draft.rate_rules),
        budget_rules=tuple(draft.budget_rules),
        guardrails=draft.guardrails,
        guardrail_rules=tuple(
            guardrail_rule(node, draft.guardrails) for node in draft.guardrail_rules
        ),
        export=_export(draft.export, draft.exporter),
        health=draft.health,
        logging=draft.logging,
    )


def _virtual_models(document: Node, draft: _Draft) -> None:
    fields = document.fields(("type", "name", "integrations"), ("collaborators",))
    group = fields["name"].text()
    for node in fields["integrations"].items():
        model, slug = virtual_model(node, group)
        for name in filter(None, (model.name, slug)):
            if name in draft.virtual_models or name in BY_NAME:
                node.fail(f"a name that is free; {name} is taken")
            draft.virtual_models[name] = model


def _rate_limits(document: Node, draft: _Draft) -> None:
    for node in rules(document):
        draft.rate_rules.append(rate_rule(node, [rule.id for rule in draft.rate_rules]))


def _budgets(document: Node, draft: _Draft) -> None:
    for node in rules(document):
        draft.budget_rules.append(budget_rule(node, [rule.id for rule in draft.budget_rules]))


def _guardrail_group(document: Node, draft: _Draft) -> None:
    fields = document.fields(("type", "name", "integrations"), ("collaborators",))
    for node in fields["integrations"].items():
        found = guardrail(node, fields["name"].text())
        if found.fqn in draft.guardrails:
            node.fail(f"a name that is free; {found.fqn} is taken")
        draft.guardrails[found.fqn] = found


def _guardrail_rules(document: Node, draft: _Draft) -> None:
    draft.guardrail_rules += rules(document)


def _telemetry(document: Node, draft: _Draft) -> None:
    fields = document.fields(("type", "otel_traces_exporter_config"), ("name",))
    draft.export = fields["otel_traces_exporter_config"]


def _configured(node: Node) -> dict[str, Any]:
    found = node.fields(
        ("type",), ("encoding", "additional_resource_attributes", "exclude_request_data", "when")
    )
    found["type"].text(("http",))
    given: dict[str, Any] = {}
    if "encoding" in found:
        given["encoding"] = found["encoding"].text(("proto", "json"))
    if "additional_resource_attributes" in found:
        given["resource"] = texts(found["additional_resource_attributes"])
    if "exclude_request_data" in found:
        given["exclude_request_data"] = found["exclude_request_data"].boolean()
    if "when" in found:
        given["when"] = tuple(_span_filter(item) for item in found["when"].items())
    return given


def _span_filter(node: Node) -> SpanFilter:
    fields = node.fields(("field", "key", "operator", "value"), ())
    fields["field"].text(("spanAttributes",))
    fields["operator"].text(("IN",))
    return SpanFilter(fields["key"].text(), frozenset(fields["value"].texts()))


def _own(document: Node, draft: _Draft) -> None:
    fields = document.fields(("type",), ("request_logging_mode", "health", "exporter"))
    if "request_logging_mode" in fields:
        modes = [mode.value for mode in Logging]
        draft.logging = Logging(fields["request_logging_mode"].text(modes))
    if "health" in fields:
        health = fields["health"].fields((), ("failures", "window_seconds"))
        draft.health = Health(
            health["failures"].integer(0) if "failures" in health else Health().failures,
            health["window_seconds"].number() if "window_seconds" in health else Health().window_s,
        )
    if "exporter" in fields:
        draft.exporter = fields["exporter"].fields((), tuple(_NUMBERS))


def _export(document: Node | None, numbers: dict[str, Node]) -> Export:
    """Put what TrueFoundry's object says together with the numbers of the exporter behind it."""
    found = _configured(document) if document is not None else {}
    for name, node in numbers.items():
        field_name, read_one = _NUMBERS[name]
        found[field_name] = read_one(node)
    return Export(**found)


_NUMBERS: dict[str, tuple[str, Callable[[Node], float]]] = {
    "queue_size": ("queue_size", lambda node: node.integer(1)),
    "batch_size": ("batch_size", lambda node: node.integer(1)),
    "window_ms": ("window_s", lambda node: node.number(1) / 1000),
    "workers": ("workers", lambda node: node.integer(1, 16)),
    "timeout_ms": ("timeout_s", lambda node: node.number(1) / 1000),
    "retries": ("retries", lambda node: node.integer(0, 20)),
    "retry_delay_ms": ("retry_delay_s", lambda node: node.number() / 1000),
}
"""Field of `exporter` to field of Export."""
DOCUMENTS: dict[str, Callable[[Node, _Draft], None]] = {
    "provider-account/virtual-model": _virtual_models,
    "gateway-rate-limiting-config": _rate_limits,
    "gateway-budget-config": _budgets,
    "provider-account/guardrail-config-group": _guardrail_group,
    "gateway-guardrails-config": _guardrail_rules,
    "gateway-otel-config": _telemetry,
    "sandbox/gateway": _own,
}
"""By `type`."""

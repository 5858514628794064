"""Rules and guardrails as they stand in a file."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from tfy_last9.standins.gateway.policy.config import (
    GUARDRAIL_HOOKS,
    BudgetRule,
    Enforcing,
    Guardrail,
    GuardrailRule,
    Operation,
    RateRule,
    When,
)
from tfy_last9.standins.gateway.policy.document import Node
from tfy_last9.standins.gateway.policy.routes import texts

PERIODS_S = {"minute": 60, "hour": 3600, "day": 86_400}
RATE_UNITS = tuple(f"{of}_per_{per}" for of in ("requests", "tokens") for per in PERIODS_S)
BUDGET_UNITS = (
    *("cost_per_day", "cost_per_week", "cost_per_month", "cost_per_quarter"),
    *("tokens_per_day", "tokens_per_month"),
)
PER = re.compile(r"user|model|virtualaccount|metadata\..+")
GUARDRAIL_URL = "https://guardrails.example.com"


def rules(document: Node) -> list[Node]:
    """Give the rules of a document."""
    return document.fields(("type", "name", "rules"), ())["rules"].items()


def _when(fields: dict[str, Node]) -> When:
    if "when" not in fields:
        return When()
    found = fields["when"].fields((), ("subjects", "models", "metadata"))
    return When(
        frozenset(found["subjects"].texts()) if "subjects" in found else None,
        frozenset(found["models"].texts()) if "models" in found else None,
        texts(found["metadata"]) if "metadata" in found else {},
    )


def _per(fields: dict[str, Node], name: str, most: int) -> tuple[str, ...]:
    if name not in fields:
        return ()
    found = fields[name].texts()
    if len(found) > most or not all(map(PER.fullmatch, found)):
        fields[name].fail(f"at most {most} of user, model, virtualaccount, metadata.<key>")
    return found


def _new_id(fields: dict[str, Node], known: Iterable[str]) -> str:
    found = fields["id"].text()
    if found in known:
        fields["id"].fail("an id of its own")
    return found


def rate_rule(node: Node, known: Iterable[str]) -> RateRule:
    """Read a rate limit; `known` are the ids that are taken."""
    fields = node.fields(("id", "limit_to", "unit"), ("when", "rate_limit_applies_per"))
    of, _, per = fields["unit"].text(RATE_UNITS).partition("_per_")
    return RateRule(
        *(_new_id(fields, known), _when(fields), fields["limit_to"].integer(0), of),
        *(PERIODS_S[per], _per(fields, "rate_limit_applies_per", 2)),
    )


def budget_rule(node: Node, known: Iterable[str]) -> BudgetRule:
    """Read a budget; `known` are the ids that are taken."""
    fields = node.fields(
        ("id", "limit_to", "unit"), ("when", "budget_applies_per", "audit_mode", "alerts")
    )
    of, _, per = fields["unit"].text(BUDGET_UNITS).partition("_per_")
    return BudgetRule(
        *(_new_id(fields, known), _when(fields), fields["limit_to"].number(), of, per),
        applies_per=_per(fields, "budget_applies_per", 1),
        audit_mode=fields["audit_mode"].boolean() if "audit_mode" in fields else False,
    )


def guardrail(node: Node, group: str) -> Guardrail:
    """Read a guardrail of a group."""
    fields = node.fields(("type", "name", "operation", "config"), ("enforcing_strategy",))
    fields["type"].text(("integration/guardrail-config/sandbox",))
    config = fields["config"].fields(("pattern",), ("replacement", "latency_ms", "broken", "url"))
    strategy, name = fields.get("enforcing_strategy"), fields["name"].text()
    return Guardrail(
        fqn=f"{group}/{name}",
        operation=Operation(fields["operation"].text([one.value for one in Operation])),
        enforcing=Enforcing(strategy.text([e.value for e in Enforcing]) if strategy else "enforce"),
        pattern=_pattern(config["pattern"]),
        replacement=config["replacement"].text() if "replacement" in config else "[redacted]",
        latency_s=config["latency_ms"].number() / 1000 if "latency_ms" in config else 0.0,
        is_broken=config["broken"].boolean() if "broken" in config else False,
        url=config["url"].text() if "url" in config else f"{GUARDRAIL_URL}/{name}",
    )


def _pattern(node: Node) -> re.Pattern[str]:
    try:
        return re.compile(node.text())
    except re.error as error:
        node.fail(f"a regular expression ({error})")


def guardrail_rule(node: Node, known: Mapping[str, Guardrail]) -> GuardrailRule:
    """Read which guardrails a rule asks, of those that are configured."""
    fields = node.fields(("id",), ("when", *GUARDRAIL_HOOKS))
    names = list(known) or ["(no guardrail is configured)"]
    asked = {
        hook: tuple(known[item.text(names)] for item in fields[hook].items())
        for hook in GUARDRAIL_HOOKS
        if hook in fields
    }
    return GuardrailRule(fields["id"].text(), _when(fields), asked)

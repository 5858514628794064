"""Virtual models as they stand in a file: `integration/model/virtual` and its `routing_config`."""

from __future__ import annotations

from collections.abc import Callable

from tfy_last9.standins.gateway.catalogue import BY_NAME
from tfy_last9.standins.gateway.policy.config import (
    Retry,
    SlaCutoff,
    Sticky,
    Strategy,
    Target,
    VirtualModel,
)
from tfy_last9.standins.gateway.policy.document import Node

PERCENT = 100


def virtual_model(node: Node, group: str) -> tuple[VirtualModel, str | None]:
    """Read one virtual model of a group, and its slug."""
    fields = node.fields(("type", "name", "routing_config"), ("model_types", "slug"))
    fields["type"].text(("integration/model/virtual",))
    routing = fields["routing_config"].fields(("type", "load_balance_targets"), ("sticky_routing",))
    strategy = Strategy(routing["type"].text([strategy.value for strategy in Strategy]))
    listed = routing["load_balance_targets"]
    targets = tuple(_target(item, strategy) for item in listed.items())
    if not targets:
        listed.fail("at least one target")
    if strategy is Strategy.WEIGHT and sum(target.weight for target in targets) != PERCENT:
        listed.fail("weights that sum to 100")
    sticky = routing.get("sticky_routing")
    name = f"{group}/{fields['name'].text()}"
    slug = fields["slug"].text() if "slug" in fields else None
    return VirtualModel(name, strategy, targets, _sticky(sticky) if sticky else None), slug


def _target(node: Node, strategy: Strategy) -> Target:
    rank = {Strategy.WEIGHT: ("weight",), Strategy.PRIORITY: ("priority",), Strategy.LATENCY: ()}
    fields = node.fields(
        ("target", *rank[strategy]),
        (
            *("retry_config", "fallback_status_codes", "fallback_candidate", "override_params"),
            *("headers_override", "metadata_match"),
            *(("sla_cutoff",) if strategy is Strategy.PRIORITY else ()),
        ),
    )
    headers = fields.get("headers_override")
    changed = headers.fields((), ("set", "remove")) if headers else {}
    optional: dict[str, object] = {}
    for name, read_one in _TARGET_FIELDS.items():
        if name in fields:
            optional[name] = read_one(fields[name])
    return Target(
        target=fields["target"].text(list(BY_NAME)),
        headers_set=texts(changed["set"]) if "set" in changed else {},
        headers_remove=frozenset(changed["remove"].texts()) if "remove" in changed else frozenset(),
        **optional,  # type: ignore[arg-type] # each reader gives the type of its field
    )


def _statuses(node: Node) -> frozenset[int]:
    return frozenset(item.integer(400, 599) for item in node.items())


def _retry(node: Node) -> Retry:
    fields = node.fields((), ("attempts", "delay", "on_status_codes"))
    default = Retry()
    return Retry(
        fields["attempts"].integer(0, 10) if "attempts" in fields else default.attempts,
        fields["delay"].number() / 1000 if "delay" in fields else default.delay_s,
        _statuses(fields["on_status_codes"])
        if "on_status_codes" in fields
        else default.on_status_codes,
    )


def _cutoff(node: Node) -> SlaCutoff:
    fields = node.fields((), ("time_per_output_token_ms", "time_to_first_token_ms"))
    return SlaCutoff(**{name: value.number() for name, value in fields.items()})


def texts(node: Node) -> dict[str, str]:
    """Read a mapping of texts."""
    return {key: value.text() for key, value in node.mapping().items()}


def _parameters(node: Node) -> object:
    node.mapping()
    return node.plain()


_TARGET_FIELDS: dict[str, Callable[[Node], object]] = {
    "weight": lambda node: node.integer(0, 100),
    "priority": lambda node: node.integer(0, 1000),
    "sla_cutoff": _cutoff,
    "retry_config": _retry,
    "fallback_status_codes": _statuses,
    "fallback_candidate": Node.boolean,
    "override_params": _parameters,
    "metadata_match": texts,
}


def _sticky(node: Node) -> Sticky:
    fields = node.fields(("ttl_seconds", "session_identifiers"), ())
    identifiers = []
    for item in fields["session_identifiers"].items():
        one = item.fields(("source", "key"), ())
        identifiers.append((one["source"].text(("headers", "metadata")), one["key"].text()))
    if not identifiers:
        fields["session_identifiers"].fail("at least one identifier")
    return Sticky(fields["ttl_seconds"].number(1), tuple(identifiers))

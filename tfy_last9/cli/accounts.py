"""Whose money and whose rules: said before load goes to a real gateway."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from hashlib import sha256
from urllib.parse import urlsplit

from tfy_last9.adapters.environment import GatewaySettings
from tfy_last9.model.scenario import Scenario, Target


def account_lines(
    scenario: Scenario, gateway: GatewaySettings, arms: Mapping[str, GatewaySettings]
) -> Iterator[str]:
    """Yield what is spent where, then one line per rule of the gateway that could touch other traffic."""
    sides = [(arms[arm.name], arm.applied_to) for arm in scenario.sides]
    spent: dict[GatewaySettings, list[Target]] = {}
    for place, applied_to in sides:
        spent.setdefault(place, []).extend(map(applied_to, scenario.targets))
    for place, targets in (spent or {gateway: list(scenario.targets)}).items():
        yield (
            f"this spends real money: {_accounts(targets)} through {urlsplit(place.url).netloc}"
            f" with the key {fingerprint(place.api_key)}"
        )
    yield from _shared_rules(scenario)


def fingerprint(key: str) -> str:
    """Return eight hex digits of the key's SHA-256: enough to tell keys apart, useless to anybody else."""
    return f"sha256:{sha256(key.encode()).hexdigest()[:8]}"


def _accounts(targets: list[Target]) -> str:
    """Name the accounts: the part of a model before the slash, or the MCP server."""
    named = {
        f"MCP server {target.model}" if target.mcp else f"account {target.model.split('/')[0]}"
        for target in targets
    }
    return ", ".join(sorted(named))


def _shared_rules(scenario: Scenario) -> Iterator[str]:
    virtual = [target.name for target in scenario.targets if target.provider is None]
    limited = [target.name for target in scenario.targets if target.quota is not None]
    if virtual:
        yield (
            f"warning: {', '.join(virtual)}: two failures within two minutes take a model out of a virtual"
            " model's choice for everybody who uses it; failures of this run can move other traffic"
        )
    if limited:
        yield (
            f"warning: {', '.join(limited)}: the gateway counts rate limits and budgets per rule, not per"
            " run; this run uses up what other traffic under the same rules has"
        )

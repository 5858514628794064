"""Budgets: what was spent in a calendar period of UTC. The first match decides, all matches are counted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tfy_last9.standins.gateway.policy.config import BudgetRule, Caller
from tfy_last9.standins.gateway.policy.limits import Key, partition

MONTHS_A_QUARTER = 3


def period(per: str, wall_s: float) -> str:
    """Name the period an instant (Unix seconds) lies in; a week begins on Monday."""
    day = datetime.fromtimestamp(wall_s, UTC).date()
    match per:
        case "day":
            return day.isoformat()
        case "week":
            return (day - timedelta(days=day.weekday())).isoformat()
        case "month":
            return f"{day.year}-{day.month}"
        case _:
            return f"{day.year}-Q{(day.month - 1) // MONTHS_A_QUARTER + 1}"


class Budgets:
    """Counts what the rules limit."""

    def __init__(self, rules: tuple[BudgetRule, ...]) -> None:
        self.rules = rules
        self._spent: dict[Key, float] = {}

    def matching(self, caller: Caller, model: str) -> tuple[BudgetRule, ...]:
        """Find the rules that count a request; the first of them decides."""
        return tuple(rule for rule in self.rules if rule.when.holds(caller, model))

    def used(self, rule: BudgetRule, caller: Caller, model: str, wall_s: float) -> float:
        """Give what was spent in the current period, in USD or tokens."""
        return self._spent.get(_key(rule, caller, model, wall_s), 0.0)

    def admits(self, rule: BudgetRule, caller: Caller, model: str, wall_s: float) -> bool:
        """Tell whether another request may pass: the one that exceeds a budget is still served."""
        return rule.audit_mode or self.used(rule, caller, model, wall_s) < rule.limit_to

    def spent(self, caller: Caller, model: str, *, usd: float, tokens: int, wall_s: float) -> None:
        """Count an answer in every rule that matches."""
        for rule in self.matching(caller, model):
            key = _key(rule, caller, model, wall_s)
            amount = usd if rule.of == "cost" else tokens
            self._spent[key] = self._spent.get(key, 0.0) + amount


def _key(rule: BudgetRule, caller: Caller, model: str, wall_s: float) -> Key:
    return (rule.id, period(rule.per, wall_s), *partition(rule.applies_per, caller, model))

"""What is said of money before a run: the worst case, the budget, the accounts, and whose rules are shared."""

from dataclasses import replace
from pathlib import Path

import pytest

from tfy_last9.adapters.environment import GatewaySettings
from tfy_last9.adapters.files.scenario import load_scenario
from tfy_last9.arrivals.costs import check_budget
from tfy_last9.cli.accounts import account_lines, fingerprint
from tfy_last9.cli.budgeting import checked_budget, cost_lines, limited, spending_lines
from tfy_last9.errors import ConfigurationError
from tfy_last9.model.check import Quota

DATA = Path(__file__).parents[2] / "data"
BUDGET = load_scenario(DATA / "budget.yaml")
SHORT = load_scenario(DATA / "short.yaml")
KEY = "tfy-secret-key-of-the-test"
GATEWAY = GatewaySettings("https://gateway.example/api/llm", KEY)


def test_a_budget_that_may_not_last_is_announced():
    (line,) = spending_lines(BUDGET, 2)
    assert line.startswith("at worst 0.00")
    assert "the budget is 0.0025 USD, split over 2 workers" in line
    assert line.endswith("it may end the run before its schedule")
    (enough,) = spending_lines(replace(BUDGET, limits=replace(BUDGET.limits, usd=9.0)), 1)
    assert enough.endswith("the budget is 9 USD")


def test_the_worst_case_is_told_where_prices_are_known_and_unpriced_targets_are_named():
    free = replace(BUDGET, limits=replace(BUDGET.limits, usd=None))
    assert list(spending_lines(free, 1)) == list(cost_lines(free))
    assert list(cost_lines(SHORT)) == []
    mixed = replace(free, targets=(*free.targets, SHORT.targets[1]))
    assert next(cost_lines(mixed)).endswith("beside the USD of anthropic (no price)")


def test_an_unpriced_target_under_a_budget_is_refused_with_the_fix():
    with pytest.raises(ConfigurationError, match="openai has no price") as refused:
        check_budget(replace(SHORT, limits=replace(SHORT.limits, usd=1.0)), 1)
    assert "limits: {tokens: 500000}" in refused.value.hint


@pytest.mark.parametrize("usd", [0.0, -1.0, float("nan"), float("inf")])
def test_a_budget_is_an_amount_above_zero(usd):
    with pytest.raises(ConfigurationError, match="--budget-usd"):
        checked_budget(usd)
    assert checked_budget(2.5) == 2.5
    assert checked_budget(None) is None


def test_the_accounts_and_the_key_are_named_but_not_the_key_itself():
    lines = list(account_lines(SHORT, GATEWAY, {}))
    assert lines == [
        (
            "this spends real money: account anthropic-main, account gemini-main, account openai-main"
            f" through gateway.example with the key {fingerprint(KEY)}"
        )
    ]
    assert KEY not in lines[0]


def test_arms_are_named_by_the_gateway_they_spend_at():
    canary = load_scenario(DATA / "canary.yaml")
    other = GatewaySettings("https://canary.example", "another-key")
    lines = list(account_lines(canary, GATEWAY, {"baseline": GATEWAY, "canary": other}))
    assert [line.split(" through ")[1].split()[0] for line in lines[:2]] == [
        "gateway.example",
        "canary.example",
    ]


def test_shared_rules_are_warned_of_only_where_they_apply():
    virtual = replace(SHORT.targets[0], provider=None)
    limited = replace(SHORT.targets[1], quota=Quota(rpm=60))
    lines = list(account_lines(replace(SHORT, targets=(virtual, limited)), GATEWAY, {}))
    assert lines[1].startswith("warning: openai: two failures within two minutes")
    assert lines[2].startswith("warning: anthropic: the gateway counts rate limits and budgets")


def test_a_rehearsal_of_failures_stops_no_target_unless_the_scenario_says_when():
    assert limited(SHORT.limits, 2.0, rehearses=True).usd == 2.0
    assert limited(SHORT.limits, None, rehearses=True).stop_after_failures == 0
    assert limited(SHORT.limits, None, rehearses=False) == SHORT.limits
    strict = replace(SHORT.limits, stop_after_failures=3)
    assert limited(strict, None, rehearses=True) == strict

"""Rate limits and budgets, against time that is given."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfy_last9.standins.gateway.policy.budgets import Budgets, period
from tfy_last9.standins.gateway.policy.config import BudgetRule, Caller, RateRule, When
from tfy_last9.standins.gateway.policy.limits import BUCKET_S, RateLimiter, SlidingWindow

MODEL = "openai-main/gpt-4o-mini"
CALLER = Caller("app", teams=("platform",), metadata={"tier": "guest"})


def rule(name="r", limit_to=2, of="requests", per_s=60, **more):
    return RateRule(name, more.pop("when", When()), limit_to, of, per_s, **more)


@pytest.mark.parametrize(
    ("when", "holds"),
    [
        (When(), True),
        (When(subjects=frozenset({"virtualaccount:app"})), True),
        (When(subjects=frozenset({"team:platform"})), True),
        (When(subjects=frozenset({"user:app"})), False),
        (When(subjects=frozenset({"*"}), models=frozenset({MODEL})), True),
        (When(models=frozenset({"other"})), False),
        (When(metadata={"tier": "guest"}), True),
        (When(metadata={"tier": "gold"}), False),
        (When(subjects=frozenset({"team:platform"}), metadata={"tier": "gold"}), False),
    ],
)
def test_conditions_are_anded(when, holds):
    assert when.holds(CALLER, MODEL) is holds


def test_only_the_first_rule_that_matches_counts():
    first, second = rule("first", limit_to=5), rule("second", limit_to=0)
    assert RateLimiter((first, second)).matching(CALLER, MODEL) is first


def test_a_window_slides_by_buckets_of_five_seconds():
    limiter, limit = RateLimiter((rule(),)), rule()
    assert limiter.admits(limit, CALLER, MODEL, 101.0)
    assert limiter.admits(limit, CALLER, MODEL, 104.0)
    assert not limiter.admits(limit, CALLER, MODEL, 159.9)
    assert limiter.admits(limit, CALLER, MODEL, 160.0), "the bucket of 100 has left"


def test_refused_requests_do_not_count():
    limiter, limit = RateLimiter(()), rule(limit_to=1)
    assert limiter.admits(limit, CALLER, MODEL, 0.0)
    assert not any(limiter.admits(limit, CALLER, MODEL, float(s)) for s in range(1, 60))
    assert limiter.admits(limit, CALLER, MODEL, 60.0)


def test_tokens_are_counted_after_the_answer():
    limiter, limit = RateLimiter(()), rule(of="tokens", limit_to=100)
    assert limiter.admits(limit, CALLER, MODEL, 0.0)
    limiter.spent(limit, CALLER, MODEL, 150, 1.0)
    assert not limiter.admits(limit, CALLER, MODEL, 2.0)


@pytest.mark.parametrize(
    ("applies_per", "same"),
    [
        ((), True),
        (("virtualaccount",), False),
        (("model",), True),
        (("metadata.tier",), True),
        (("user",), True),
    ],
)
def test_each_value_that_a_rule_applies_to_has_its_own_count(applies_per, same):
    limiter, limit = RateLimiter(()), rule(limit_to=1, applies_per=applies_per)
    other = Caller("other", metadata={"tier": "guest"})
    assert limiter.admits(limit, CALLER, MODEL, 0.0)
    assert limiter.admits(limit, other, MODEL, 0.0) is not same


@given(
    st.lists(st.tuples(st.floats(0, 600), st.integers(1, 9)), max_size=60),
    st.floats(0, 60),
    st.sampled_from([60, 3600]),
)
def test_a_window_holds_what_its_last_buckets_hold(events, after_s, length_s):
    window = SlidingWindow(length_s)
    events.sort()
    for at_s, amount in events:
        window.add(amount, at_s)
    now_s = (events[-1][0] if events else 0.0) + after_s
    oldest = now_s // BUCKET_S - length_s // BUCKET_S
    assert window.sum(now_s) == sum(n for at_s, n in events if at_s // BUCKET_S > oldest)


@pytest.mark.parametrize(
    ("per", "within", "beyond"),
    [
        ("day", "2026-11-25T23:59:59", "2026-11-26T00:00:00"),
        ("week", "2026-11-29T23:59:59", "2026-11-30T00:00:00"),
        ("month", "2026-11-30T23:59:59", "2026-12-01T00:00:00"),
        ("quarter", "2026-12-31T23:59:59", "2027-01-01T00:00:00"),
    ],
)
def test_a_budget_begins_anew_at_utc_midnight(per, within, beyond):
    now, inside, outside = (
        datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()
        for text in ("2026-11-25T12:00:00", within, beyond)
    )
    assert period(per, now) == period(per, inside) != period(per, outside)


def test_the_first_budget_decides_and_all_that_match_are_counted():
    first = BudgetRule("first", When(), 1.0, "cost", "day")
    second = BudgetRule("second", When(), 10.0, "tokens", "month")
    budgets = Budgets((first, second))
    assert budgets.admits(first, CALLER, MODEL, 0.0)
    budgets.spent(CALLER, MODEL, usd=1.0, tokens=70, wall_s=0.0)
    assert not budgets.admits(first, CALLER, MODEL, 0.0)
    assert budgets.used(second, CALLER, MODEL, 0.0) == 70
    assert budgets.admits(first, CALLER, MODEL, 86_400.0), "another day"


def test_a_budget_in_audit_mode_refuses_nothing():
    audit = BudgetRule("audit", When(), 0.0, "cost", "day", audit_mode=True)
    assert Budgets((audit,)).admits(audit, CALLER, MODEL, 0.0)

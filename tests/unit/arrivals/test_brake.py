"""The spending brake: nothing is sent that could exceed the budget, in whatever order answers end."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfy_last9.adapters.files.scenario import load_scenario
from tfy_last9.arrivals.brake import Brake, brake_of, reserve_arrival
from tfy_last9.arrivals.costs import (
    NANO,
    Amount,
    Costs,
    budget_problems,
    nano,
    of_probes,
    output_cap,
    per_worker,
    priced,
    worst_cases,
)
from tfy_last9.arrivals.schedule import schedule
from tfy_last9.model.conversation import FollowUp, Image
from tfy_last9.model.price import Price
from tfy_last9.model.scenario import Api, Message, Prompt

PRICE = Price(1.0, 10.0)
SCENARIO = load_scenario(Path(__file__).parents[2] / "data" / "budget.yaml")
PROMPT = Prompt((Message("user", "Why is the sky blue?"),))


@pytest.fixture
def scenario():
    limits = replace(SCENARIO.limits, usd=None)
    return replace(SCENARIO, limits=limits)


def target(scenario, **changes):
    return replace(scenario.targets[0], **({"price": PRICE, "max_tokens": 20} | changes))


def budgeted(scenario, *, usd=1.0, tokens=None, **changes):
    limits = replace(scenario.limits, usd=usd, tokens=tokens)
    return replace(scenario, limits=limits, targets=(target(scenario, **changes),))


@given(data=st.data())
def test_the_budget_holds_whatever_the_order_of_ends(data):
    """Costs up to the worst case, told or not, of requests that end in any order."""
    limit = Amount(data.draw(st.integers(0, 500)), data.draw(st.integers(0, 500)))
    brake = Brake(*limit)
    flying, bill = {}, Amount()
    for number in range(data.draw(st.integers(1, 40))):
        worst = Amount(data.draw(st.integers(0, 60)), data.draw(st.integers(0, 60)))
        if brake.reserve([(number, worst)]):
            flying[number] = worst
        for ended in data.draw(st.lists(st.sampled_from(sorted(flying) or [0]), unique=True)):
            if ended not in flying:
                continue
            worst = flying.pop(ended)
            real = Amount(
                data.draw(st.integers(0, worst.nano_usd)), data.draw(st.integers(0, worst.tokens))
            )
            bill = bill.plus(real)
            told = data.draw(st.tuples(st.booleans(), st.booleans()))
            brake.settle(
                ended, *(n if known else None for n, known in zip(real, told, strict=True))
            )
        committed = brake.spent.plus(brake.reserved)
        assert bill.nano_usd <= committed.nano_usd <= limit.nano_usd
        assert bill.tokens <= committed.tokens <= limit.tokens


def test_an_unknown_cost_keeps_its_reservation_and_an_unsent_request_gives_it_back():
    brake = Brake(100, None)
    assert brake.reserve([(0, Amount(60, 5)), (1, Amount(30, 5))])
    brake.settle(0, None, 4)
    brake.release(1)
    assert brake.spent == (0, 4)
    assert brake.reserved == (60, 0)
    assert not brake.reserve([(2, Amount(41, 0))])
    assert brake.is_spent
    assert brake.report()["reserved_usd"] == 60 / NANO


def test_an_arrival_is_reserved_whole_or_not_at_all():
    brake = Brake(100, None)
    assert not brake.reserve([(0, Amount(60, 0)), (1, Amount(60, 0))])
    assert brake.reserved == (0, 0)


def test_a_cost_above_its_worst_case_is_still_counted():
    brake = Brake(100, None)
    brake.reserve([(0, Amount(10, 0))])
    brake.settle(0, 95, None)
    assert brake.spent.nano_usd == 95
    assert not brake.reserve([(1, Amount(10, 0))])


def test_later_turns_carry_what_was_said_before(scenario):
    talk = replace(PROMPT, follow_ups=(FollowUp("And at night?"), FollowUp("Why?")))
    first, second, third = worst_cases(target(scenario), talk)
    assert first.tokens + 20 < second.tokens
    assert second.tokens + 20 < third.tokens
    assert len(worst_cases(target(scenario, api=Api.EMBEDDINGS), talk)) == 1


def test_an_image_costs_by_its_pixels(scenario):
    seen = Prompt((replace(PROMPT.messages[0], image=Image(9_000, 1500, 1500)),))
    plain, pictured = worst_cases(target(scenario), PROMPT), worst_cases(target(scenario), seen)
    assert pictured[0].tokens - plain[0].tokens == 3000


@pytest.mark.parametrize(
    ("changes", "cap"),
    [
        ({"max_tokens": 20}, 20),
        ({"max_tokens": None}, None),
        ({"max_tokens": None, "body": {"max_completion_tokens": 70}}, 70),
        ({"max_tokens": None, "body": {"generationConfig": {"maxOutputTokens": 9}}}, 9),
        ({"max_tokens": 20, "body": {"n": 3}}, 60),
        ({"max_tokens": None, "api": Api.EMBEDDINGS}, 0),
    ],
)
def test_the_bound_on_output_is_found_wherever_it_is_written(scenario, changes, cap):
    assert output_cap(target(scenario, **changes)) == cap


def test_prices_are_per_million_tokens_and_per_request():
    assert priced(Price(1.0, 10.0, 0.5), 1_000_000, 100_000) == (2_500_000_000, 1_100_000)
    assert priced(None, 5, 6) == (0, 11)
    assert nano(0.1 + 0.2) == 300_000_000


def test_the_budget_is_split_over_workers_after_the_preflight(scenario):
    plan = budgeted(scenario, usd=1.0, tokens=10_000)
    probes = of_probes(plan)
    money, tokens = per_worker(plan, 3)
    assert 3 * money + probes.nano_usd <= NANO
    assert 3 * tokens + probes.tokens <= 10_000
    assert brake_of(budgeted(scenario, usd=None), 1) is None


def test_the_whole_schedule_is_reserved_arrival_by_arrival(scenario):
    plan = budgeted(scenario, usd=100.0)
    brake, costs = brake_of(plan, 1), Costs(plan)
    openings = [arrival for arrival in schedule(plan) if arrival.turn == 0]
    assert all(reserve_arrival(brake, costs, arrival) for arrival in openings)
    assert brake.reserved == costs.planned()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"price": None}, "has no price"),
        ({"max_tokens": None}, "sets no max_tokens"),
        ({"usd": 1e-9}, "cannot pay for the preflight and one request per target"),
        ({"usd": None, "tokens": 3}, "below the preflight and one request per target"),
        ({"usd": 0.0010}, "split over 4 workers"),
    ],
)
def test_a_budget_that_cannot_be_kept_is_refused(scenario, changes, words):
    found = budget_problems(budgeted(scenario, **changes), 4)
    assert len(found) == 1
    assert words in found[0][0]


def test_an_unpriced_target_is_fine_under_a_cap_on_tokens(scenario):
    assert not budget_problems(budgeted(scenario, price=None, tokens=100_000), 1)
    assert not budget_problems(replace(scenario, targets=(target(scenario, max_tokens=None),)), 1)

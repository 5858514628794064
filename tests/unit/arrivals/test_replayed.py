"""Production's traffic as targets, rates and a price."""

from dataclasses import replace

import pytest

from tfy_last9.arrivals.replayed import replayed
from tfy_last9.model.run import Window
from tfy_last9.model.traffic import Bin, Calls, Lengths, Route, Traffic

HOUR_NS = 3_600_000_000_000
OPENAI, CLAUDE = "openai-main/gpt-4o-mini", "anthropic-main/claude-sonnet-4-6"
LENGTHS = Lengths((10, 50, 100, 400), 140 * 600, 600)


def calls(model=OPENAI, provider="openai", *, stream=True, requests=600, **changes):
    made = Calls(model, provider, stream, requests, LENGTHS, 0.01 * requests, requests)
    return replace(made, **changes)


def traffic(**changes):
    made = Traffic(
        window=Window(0, HOUR_NS),
        requests=1000,
        arrivals=tuple(Bin(60 * minute, 60, 10 + minute % 2 * 20) for minute in range(60)),
        routes=(Route(OPENAI, 600), Route(CLAUDE, 400)),
        calls=(
            calls(),
            calls(
                CLAUDE, "anthropic", stream=False, requests=400, output=Lengths((7,) * 4, 2800, 400)
            ),
        ),
        input=Lengths((12, 900), 456_000, 1000),
        duration_p99_s=4.0,
        how="counted",
    )
    return replace(made, **changes)


def test_shares_are_those_of_what_clients_asked_for():
    found = replayed(traffic(), scale=1.0, duration_s=600)
    shares = {}
    for aim in found.aims:
        shares[aim.model] = shares.get(aim.model, 0) + aim.share
    assert shares == pytest.approx({OPENAI: 0.6, CLAUDE: 0.4})
    assert {aim.stream for aim in found.aims if aim.model == CLAUDE} == {False}


def test_lengths_of_answers_are_targets_of_their_own_of_equal_weight():
    found = [a for a in replayed(traffic(), scale=1.0, duration_s=600).aims if a.model == OPENAI]
    assert [aim.max_tokens for aim in found] == [10, 50, 100, 400]
    assert {aim.share for aim in found} == {0.15}
    assert len({aim.name for aim in found}) == 4


def test_equal_lengths_are_one_target():
    found = [a for a in replayed(traffic(), scale=1.0, duration_s=600).aims if a.model == CLAUDE]
    assert [(aim.max_tokens, aim.share) for aim in found] == [(7, pytest.approx(0.4))]


def test_a_small_part_is_one_target():
    small = calls(CLAUDE, "anthropic", requests=10)
    seen = traffic(calls=(calls(), small), routes=(Route(OPENAI, 990), Route(CLAUDE, 10)))
    found = [aim for aim in replayed(seen, scale=1.0, duration_s=600).aims if aim.model == CLAUDE]
    assert [aim.max_tokens for aim in found] == [50]


def test_the_curve_is_squeezed_and_scaled():
    found = replayed(traffic(), scale=0.5, duration_s=600)
    assert found.duration_s == pytest.approx(600)
    assert max(found.rates_per_s) <= 0.5 * 30 / 60 + 1e-9
    mean = sum(found.rates_per_s) / len(found.rates_per_s)
    assert mean == pytest.approx(0.5 * 1200 / 3600)


def test_the_price_scales_with_what_is_sent():
    whole = replayed(traffic(), scale=1.0, duration_s=600)
    half = replayed(traffic(), scale=0.5, duration_s=600)
    assert whole.usd == pytest.approx(whole.requests * 0.01, rel=1e-6)
    assert half.usd == pytest.approx(whole.usd / 2, rel=1e-6)
    assert whole.unpriced == 0


def test_a_model_without_a_price_is_told_apart():
    seen = traffic(calls=(calls(), calls(CLAUDE, "anthropic", requests=400, cost_usd=0, priced=0)))
    assert replayed(seen, scale=1.0, duration_s=600).unpriced == pytest.approx(0.4)


def test_a_virtual_model_may_reach_those_that_served_it():
    seen = traffic(routes=(Route("prod/chat", 1000, (OPENAI, CLAUDE)),))
    (*aims,) = replayed(seen, scale=1.0, duration_s=600).aims
    assert {aim.model for aim in aims} == {"prod/chat"}
    assert all(aim.is_virtual for aim in aims)
    assert {aim.providers for aim in aims} == {("anthropic", "openai")}


def test_what_reached_no_model_is_left_out_and_said():
    seen = traffic(routes=(Route(OPENAI, 600), Route(CLAUDE, 399), Route("typo/gpt", 1)))
    found = replayed(seen, scale=1.0, duration_s=600)
    assert found.notes == ("1 requests for 'typo/gpt' reached no model and are left out",)
    assert sum(aim.share for aim in found.aims) == pytest.approx(1.0)


def test_a_gateway_that_names_no_routes_is_replayed_by_model():
    found = replayed(traffic(routes=()), scale=1.0, duration_s=600)
    assert {aim.model for aim in found.aims} == {OPENAI, CLAUDE}


def test_users_are_enough_for_the_peak():
    found = replayed(traffic(duration_p99_s=10.0), scale=100.0, duration_s=600)
    assert found.users >= max(found.rates_per_s) * 10.0


def test_long_names_are_cut_and_stay_apart():
    long = "account/" + "x" * 80
    output = Lengths((5, 6, 7, 8), 26, 4)
    seen = traffic(
        routes=(Route(long, 500), Route(long + "y", 500)),
        calls=(calls(long, output=output), calls(long + "y", output=output)),
    )
    names = [aim.name for aim in replayed(seen, scale=1.0, duration_s=600).aims]
    assert len(set(names)) == len(names) == 8
    assert max(map(len, names)) <= 63

import pytest
from judge_builders import completeness, errors, latency, objective, span_latency

from tfy_last9.judge import phrases
from tfy_last9.model.objective import Book, Condition, Operator, Population, Ratio, Threshold
from tfy_last9.model.trace import Role
from tfy_last9.model.verdict import Quantile

LEDGER = Population(Book.LEDGER, None)


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.0, "0 %"),
        (1.0, "100 %"),
        (0.05, "5 %"),
        (0.983333, "98.3 %"),
        (0.99999, "99.999 %"),
        (0.9999999, "99.99999 %"),
        (0.00012, "0.012 %"),
        (0.995, "99.5 %"),
    ],
)
def test_a_share_never_rounds_to_all_unless_it_is_all(share, text):
    assert phrases.percent(share) == text


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (812.4, "ms", "812 ms"),
        (2841.0, "ms", "2.84 s"),
        (12.345, "ms", "12.3 ms"),
        (123456.0, "ms", "123 s"),
        (0.00123, "USD", "0.00123 USD"),
        (0.0000012, "USD", "1.2e-06 USD"),
        (98765.0, "tokens", "98,765 tokens"),
        (0.0, "s", "0 s"),
    ],
)
def test_quantities_have_three_digits_and_a_unit(value, unit, text):
    assert phrases.quantity(value, unit) == text


@pytest.mark.parametrize(
    ("made", "claim"),
    [
        (latency(), "p95 time to first token <= 1500 ms"),
        (span_latency(target=0.9995), "p99.95 span duration <= 2000 ms"),
        (errors(), "at most 1 % of requests in error"),
        (completeness(), "99.5 % of expected traces show a root and model span"),
        (
            objective(Threshold(LEDGER, "tokens_per_s", Operator.GTE, 20.0)),
            "output tokens per second >= 20 tokens/s for 95 % of requests",
        ),
        (
            objective(
                Ratio(Population(Book.LAST9, Role.ROOT), (Condition("region", ("eu", "us")),))
            ),
            "at most 5 % of root spans with region eu or us",
        ),
    ],
)
def test_claims_read_as_promises(made, claim):
    assert phrases.claim(made) == claim


@pytest.mark.parametrize(
    ("op", "words"),
    [
        (Operator.LTE, "slower than 5 ms"),
        (Operator.LT, "at or above 5 ms"),
        (Operator.GTE, "below 5 ms"),
        (Operator.GT, "at or below 5 ms"),
    ],
)
def test_bad_is_the_opposite_of_the_promise(op, words):
    assert phrases.bad_words(objective(Threshold(LEDGER, "ttft_ms", op, 5.0))) == words


def test_cost_is_above_its_limit_and_not_slower():
    cost = objective(Threshold(LEDGER, "cost_usd", Operator.LTE, 0.002))
    assert phrases.bad_words(cost) == "above 0.002 USD"


@pytest.mark.parametrize(
    ("quantile", "text"),
    [
        (Quantile(0.95, 2840.0, 2710.0, 3020.0, "ms"), "p95 2.84 s [2.71, 3.02]"),
        (Quantile(0.99, 812.0, 790.0, None, "ms"), "p99 812 ms [790, ?]"),
        (Quantile(0.999, 3.5, None, None, "s"), "p99.9 3.5 s"),
    ],
)
def test_a_percentile_carries_its_interval_in_the_same_unit(quantile, text):
    assert phrases.quantile(quantile) == text


def test_limits_fit_a_table_cell():
    assert [phrases.limit(item) for item in (latency(), errors())] == ["<= 1500 ms", "<= 1 %"]

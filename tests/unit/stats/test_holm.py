import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfy_last9.stats.holm import adjusted
from tfy_last9.stats.planned_looks import confidence_per_look

p_values = st.lists(st.floats(0.0, 1.0), max_size=30)


def test_the_published_example_steps_down():
    """Holm's procedure on 0.01, 0.04, 0.03, 0.005 (the R documentation's p.adjust agrees)."""
    assert adjusted([0.01, 0.04, 0.03, 0.005]) == pytest.approx((0.03, 0.06, 0.06, 0.02))


def test_one_claim_needs_no_adjustment():
    assert adjusted([0.03]) == (0.03,)
    assert adjusted([]) == ()


@given(p_values)
def test_adjusting_never_makes_a_claim_easier_to_reject(values):
    assert all(0 <= p <= new <= 1 for p, new in zip(values, adjusted(values), strict=True))


@given(p_values)
def test_the_smallest_p_value_is_adjusted_by_bonferroni(values):
    if values:
        assert min(adjusted(values)) == pytest.approx(min(1.0, len(values) * min(values)))


@given(p_values)
def test_the_order_of_claims_is_kept(values):
    found = adjusted(values)
    ranked = sorted(zip(values, found, strict=True))
    assert [new for _, new in ranked] == sorted(found)


@given(p_values, st.floats(0.001, 0.2))
def test_rejections_are_those_of_the_step_down_procedure(values, alpha):
    rejected = 0
    for rank, p in enumerate(sorted(values)):
        if (len(values) - rank) * p > alpha:
            break
        rejected += 1
    assert sum(new <= alpha for new in adjusted(values)) == rejected


def test_five_looks_share_the_error_of_one():
    assert confidence_per_look(0.95, 5) == pytest.approx(0.99)
    assert confidence_per_look(0.95, 1) == 0.95
    with pytest.raises(ValueError, match="at least one look"):
        confidence_per_look(0.95, 0)

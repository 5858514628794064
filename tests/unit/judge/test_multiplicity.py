import pytest
from judge_builders import completeness, errors, latency, objective, tally, verdict

from tfy_last9.judge.decide import decide
from tfy_last9.judge.multiplicity import adjusted_p_values, claims_of
from tfy_last9.judge.strength import measure
from tfy_last9.model.verdict import Slices, State
from tfy_last9.stats.binomial import at_least

BURSTS = Slices(size=50, count=20, bad=63, bad_squares=63 * 20)


def test_events_in_bursts_prove_less_and_the_message_says_so():
    """63 of 1,000 at a budget of 5 % is a FAIL when independent, and nothing when 20 come at a time."""
    assert decide(latency(), tally(63, 1000)).state is State.FAIL
    finding = decide(latency(), tally(63, 1000, slices=BURSTS))
    assert finding.state is State.INCONCLUSIVE
    assert finding.design_effect == pytest.approx(18.93, abs=0.01)
    assert "bad ones come in bursts (design effect 18.9), counted as 53 events" in finding.message


def test_a_pass_with_a_design_effect_above_two_is_a_warning():
    slices = Slices(size=50, count=200, bad=40, bad_squares=40 * 5)
    finding = decide(latency(), tally(40, 10_000, slices=slices))
    assert finding.state is State.WARN
    assert finding.message.endswith("bursts make the proof weaker than the count suggests")


def test_independent_events_are_judged_as_if_nobody_had_looked_for_bursts():
    slices = Slices(size=50, count=20, bad=40, bad_squares=120)
    assert decide(latency(), tally(40, 1000, slices=slices)) == decide(latency(), tally(40, 1000))


def test_the_requests_that_are_missing_count_the_bursts():
    finding = decide(latency(), tally(20, 1000, slices=Slices(50, 20, 20, 200)))
    more = finding.requests_needed
    assert finding.state is State.INCONCLUSIVE
    assert more > decide(latency(), tally(20, 450)).requests_needed


def test_one_finding_at_the_edge_among_many_is_no_failure():
    """p = 0.04 alone; among twelve critical claims such a finding is to be expected."""
    groups = tuple(tally(63, 1000, group=name) for name in ("a",))
    healthy = tuple(tally(5, 1000, group=f"p{n}") for n in range(11))
    alone = verdict([latency()], {"ttft": groups})
    among = verdict([latency()], {"ttft": groups + healthy})
    assert alone.state is State.FAIL
    assert among.state is State.INCONCLUSIVE
    (spared,) = (item for item in among.findings if item.group[0][1] == "a")
    assert spared.p_fail_adjusted == pytest.approx(12 * spared.p_fail)
    assert "not enough for a FAIL" in spared.message


def test_a_clear_failure_stays_one_among_a_hundred():
    groups = (tally(120, 1000), *(tally(5, 1000, group=f"p{n}") for n in range(99)))
    assert verdict([latency()], {"ttft": groups}).state is State.FAIL


def test_a_failure_holds_among_critical_objectives_only():
    """Twenty objectives nobody has to meet must not hide a failure of one that matters."""
    idle = [objective(name=f"idle{n}", critical=False) for n in range(20)]
    tallies = {one.name: (tally(5),) for one in idle} | {"ttft": (tally(63, 1000),)}
    assert verdict([latency(), *idle], tallies).state is State.FAIL


def test_a_finding_that_is_not_critical_is_not_adjusted():
    found = verdict(
        [latency(), errors(critical=False)], {"ttft": (tally(5),), "errors": (tally(30),)}
    )
    (errors_finding,) = (item for item in found.findings if item.objective == "errors")
    assert errors_finding.state is State.FAIL
    assert errors_finding.p_fail_adjusted is None
    assert found.state is State.WARN


def test_only_samples_of_groups_that_were_sent_traffic_take_part():
    strangers = (tally(9, 10, expected=False), tally(0, 0), tally(3, 100))
    assert len(list(claims_of(latency(), strangers))) == 1
    assert not list(claims_of(completeness(), (tally(3, 100),)))
    assert not list(claims_of(latency(critical=False), (tally(3, 100),)))


def test_adjusting_keeps_claims_and_values_together():
    claims = [(("a", ()), 0.01), (("b", ()), 0.04), (("c", ()), 0.9)]
    assert adjusted_p_values(claims) == {
        ("a", ()): pytest.approx(0.03),
        ("b", ()): pytest.approx(0.08),
        ("c", ()): pytest.approx(0.9),
    }


def test_the_p_value_is_the_binomial_tail_at_the_budget():
    assert measure(tally(63, 1000), 0.05, 0.05).p_fail == at_least(63, 1000, 0.05)

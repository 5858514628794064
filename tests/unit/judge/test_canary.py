import math
import random
from collections import Counter
from dataclasses import replace

import pytest
from judge_builders import latency, manifest, scenario, tally, verdict

from tfy_last9.judge.canary import compare_alone
from tfy_last9.judge.gate import judge
from tfy_last9.model.canary import ArmCounts, ArmTally, Latencies
from tfy_last9.model.scenario import Arm, Arms, Margins, OnInconclusive, Policy
from tfy_last9.model.verdict import State
from tfy_last9.stats.shift import STEP

ARMS = Arms(Arm("baseline"), Arm("canary"))
SAME = ArmCounts(sent=400, errors=0, timed=400, slow=0, input_tokens=8000, cached_tokens=0)


def steps(values):
    return tuple(sorted(Counter(round(math.log(value) / STEP) for value in values).items()))


def drawn(factor, n=400, spread=0.3, seed=1):
    dice = random.Random(f"{factor}{n}{seed}")
    return [factor * dice.lognormvariate(6, spread) for _ in range(n)]


def arm_tally(baseline=SAME, canary=SAME, factor=1.0, n=400, provider="openai", **changes):
    times = Latencies("total_ms", steps(drawn(1.0, n)), steps(drawn(factor, n, seed=2)), ())
    made = ArmTally(provider, baseline, canary, (times,), "beyond total 6000 ms")
    return replace(made, **changes)


def states(*tallies, arms=ARMS):
    return {one.objective: one.state for one in compare_alone(tallies, arms)}


def test_equal_arms_are_proven_to_be_no_worse():
    found = states(arm_tally(n=2000))
    assert found == dict.fromkeys(("canary-total", "canary-tail", "canary-errors"), State.PASS)


def test_a_canary_beyond_the_margin_fails_and_says_by_how_much():
    (total, *_) = compare_alone([arm_tally(factor=1.3, n=1000)], ARMS)
    assert total.state is State.FAIL
    assert total.message.startswith("openai: +27 % [")
    assert total.bad_low > 0.10


def test_a_few_requests_prove_nothing_and_the_message_says_how_many_would():
    (total, *_) = compare_alone([arm_tally(n=30, factor=1.25)], ARMS)
    assert total.state is State.INCONCLUSIVE
    assert total.requests_needed > 10
    assert "more requests per arm would decide it" in total.message


def test_a_margin_is_a_ratio_so_that_units_do_not_matter():
    """Absolute tolerances made intervals depend on seconds or milliseconds in other judges."""
    in_ms = arm_tally(factor=1.3)
    offset = round(math.log(1e-3) / STEP)
    (times,) = in_ms.latencies
    moved = replace(
        times,
        baseline=tuple((step + offset, n) for step, n in times.baseline),
        canary=tuple((step + offset, n) for step, n in times.canary),
    )
    assert compare_alone([replace(in_ms, latencies=(moved,))], ARMS) == compare_alone([in_ms], ARMS)


@pytest.mark.parametrize(
    ("canary", "baseline", "state"),
    [
        ((0, 400), (0, 400), State.PASS),
        ((4, 600), (0, 600), State.INCONCLUSIVE),
        ((16, 1000), (0, 1000), State.FAIL),
        ((0, 100), (0, 100), State.INCONCLUSIVE),
        ((5, 1000), (5, 1000), State.PASS),
        ((11, 2000), (0, 2000), State.WARN),
        ((5, 5000), (5, 5000), State.PASS),
    ],
)
def test_errors_are_counts_and_work_from_a_baseline_of_none(canary, baseline, state):
    """Rank tests on rates called 4 errors against none a pass."""
    arms = [replace(SAME, errors=bad, sent=total) for bad, total in (baseline, canary)]
    assert states(arm_tally(*arms))["canary-errors"] is state


def test_a_tail_that_the_typical_request_does_not_feel_is_no_pass():
    """2 % of requests ten times slower: a location test alone passes it."""
    slow = replace(SAME, timed=400, slow=8)
    found = states(arm_tally(canary=slow, n=2000))
    assert found["canary-total"] is State.PASS
    assert found["canary-tail"] in (State.FAIL, State.INCONCLUSIVE)


def test_unequal_cached_shares_make_latencies_inconclusive_and_leave_errors_alone():
    cached = replace(SAME, cached_tokens=4000)
    found = compare_alone([arm_tally(baseline=cached, factor=1.5)], ARMS)
    by_name = {one.objective: one for one in found}
    assert by_name["canary-total"].state is State.INCONCLUSIVE
    assert by_name["canary-tail"].state is State.INCONCLUSIVE
    assert by_name["canary-errors"].state is State.PASS
    assert "50 % of the baseline's input tokens and 0 %" in by_name["canary-total"].message


def test_an_arm_that_was_sent_nothing_is_silence_and_not_a_pass():
    nothing = ArmCounts(0, 0, 0, 0, 0, 0)
    empty = Latencies("total_ms", steps([100.0]), (), ())
    found = states(arm_tally(canary=nothing, latencies=(empty,)))
    assert set(found.values()) == {State.NO_DATA}


def test_pairs_decide_what_unpaired_requests_cannot():
    """Prompts differ more than arms do; the same prompt in both arms takes that out."""
    dice = random.Random(4)
    prompts = [dice.lognormvariate(6, 0.6) for _ in range(200)]
    noisy = [[p * dice.lognormvariate(0, 0.2) for p in prompts] for _ in range(2)]
    logs = [[round(math.log(value) / STEP) for value in arm] for arm in noisy]
    differences = Counter(c - b for b, c in zip(*logs, strict=True))
    times = Latencies("total_ms", steps(noisy[0]), steps(noisy[1]), ())
    with_pairs = replace(times, differences=tuple(sorted(differences.items())))
    assert states(arm_tally(latencies=(times,)))["canary-total"] is State.INCONCLUSIVE
    assert states(arm_tally(latencies=(with_pairs,)))["canary-total"] in (State.PASS, State.WARN)


def test_too_few_pairs_are_not_used():
    """Pairs of which half is missing are a biased choice: slow requests time out."""
    times = arm_tally(n=400).latencies[0]
    few = replace(times, differences=((0, 100),))
    (total, *_) = compare_alone([arm_tally(latencies=(few,))], ARMS)
    assert "unpaired" in total.message


def test_margins_come_from_the_scenario():
    generous = replace(ARMS, margins=Margins(latency=0.5))
    assert states(arm_tally(factor=1.3, n=1000), arms=generous)["canary-total"] is not State.FAIL


def test_arms_decide_the_run_together_with_its_objectives():
    with_arms = replace(scenario(), arms=ARMS)
    healthy = verdict([latency()], {"ttft": (tally(5),)})
    assert healthy.state is State.PASS
    parts = (manifest(scenario=with_arms), [latency()], {"ttft": (tally(5),)})
    worse = judge(
        *parts, healthy.accounting, healthy.validity, evidence_of(), (arm_tally(factor=1.4),)
    )
    assert worse.state is State.FAIL
    assert worse.reason.startswith("canary-total, openai: +")
    assert "--where provider=openai --where arm=canary --slowest 5" in worse.next_steps[0]


def test_harm_that_was_proven_while_the_load_ran_fails_the_canary():
    """Unless caches differ, or the difference, however certain, is surely within the margin."""
    with_arms = replace(scenario(), arms=ARMS, policy=Policy(OnInconclusive.FAIL, early_stop=True))
    healthy = verdict([latency()], {"ttft": (tally(5),)})
    claim = ("canary-total", (("provider", "openai"),))

    def state(arms, log_e):
        told = judge(
            *(manifest(scenario=with_arms), [latency()], {"ttft": (tally(5),)}),
            *(healthy.accounting, healthy.validity, evidence_of(), (arms,), {claim: log_e}),
        )
        return next(one.state for one in told.findings if one.objective == "canary-total")

    close = arm_tally(factor=1.1, n=200)
    assert state(close, 1.0) is State.INCONCLUSIVE
    assert state(close, 9.0) is State.FAIL
    cached = replace(
        close, baseline=replace(close.baseline, cached_tokens=close.baseline.input_tokens)
    )
    assert state(cached, 9.0) is State.INCONCLUSIVE


def evidence_of():
    from judge_builders import evidence

    return evidence()


def test_a_canary_at_the_edge_is_weighed_among_all_claims():
    """Twelve comparisons of equal arms: one of them at p = 0.04 is no failure."""
    edge = arm_tally(
        replace(SAME, errors=0, sent=600), replace(SAME, errors=5, sent=600), provider="edge"
    )
    others = [arm_tally(provider=f"p{n}") for n in range(4)]
    (alone,) = (one for one in compare_alone([edge], ARMS) if one.objective == "canary-errors")
    among = next(
        one
        for one in compare_alone([edge, *others], ARMS)
        if one.objective == "canary-errors" and one.group[0][1] == "edge"
    )
    assert alone.p_fail == among.p_fail
    assert among.p_fail_adjusted > alone.p_fail_adjusted
    assert among.state is State.INCONCLUSIVE


def test_requests_of_unknown_arm_are_shown_and_many_of_them_leave_everything_open():
    few = compare_alone([arm_tally(n=2000, untold=3)], ARMS)
    assert {one.state for one in few} == {State.PASS}
    assert all("3 more do not tell their arm" in one.message for one in few)
    many = compare_alone([arm_tally(n=2000, untold=900)], ARMS)
    assert {one.state for one in many} == {State.INCONCLUSIVE}
    assert "900 of" in many[0].message

"""A run beside its baseline: findings of its own verdict, and none is satisfied by absence."""

from dataclasses import replace

from judge_builders import (
    accounting,
    errors,
    evidence,
    manifest,
    scenario,
    tally,
    validity,
)
from test_canary import arm_tally

from tfy_last9.judge.gate import judge
from tfy_last9.model.run import Baseline
from tfy_last9.model.scenario import Arm, Arms, BaselinePolicy, Margins
from tfy_last9.model.verdict import State
from tfy_last9.reports import verdict_json

FOUND = Baseline("latest-pass", "yesterday")
ABSENT = Baseline("latest-pass", None, "no baseline in runs: of 0 other run(s), ...")


SLO = errors()


def judged(baseline, *tallies, policy=None, of=None):
    """Judge a run whose own objective passes."""
    run = of or manifest(scenario=scenario())
    if policy is not None:
        made = replace(run.scenario.policy, baseline=policy)
        run = replace(run, scenario=replace(run.scenario, policy=made))
    run = replace(run, baseline=baseline)
    own = {SLO.name: (tally(),)}
    return judge(run, [SLO], own, accounting(), validity(), evidence(), tallies)


def states(verdict):
    return {one.objective: one.state for one in verdict.findings if "baseline" in one.objective}


def test_without_a_baseline_nothing_is_compared():
    assert states(judged(None)) == {}


def test_an_absent_baseline_is_no_data_and_never_a_pass():
    verdict = judged(ABSENT)
    assert states(verdict) == {"baseline": State.NO_DATA}
    assert (verdict.state, verdict.exit_code) == (State.NO_DATA, 22)
    assert verdict.reason.startswith("baseline: no baseline in runs")
    assert "tfy-last9 keep" in " ".join(verdict.next_steps)


def test_where_it_is_not_required_an_absent_baseline_is_a_warning():
    verdict = judged(ABSENT, policy=BaselinePolicy(required=False))
    assert (verdict.state, verdict.exit_code) == (State.WARN, 0)


def test_a_baseline_without_a_common_provider_is_no_data():
    nothing = replace(arm_tally(), latencies=())
    verdict = judged(FOUND, replace(nothing, baseline=replace(nothing.baseline, sent=0, timed=0)))
    assert set(states(verdict).values()) == {State.NO_DATA}
    assert verdict.exit_code == 22


def test_a_run_no_worse_than_its_baseline_passes_and_names_it():
    verdict = judged(FOUND, arm_tally(n=2000))
    names = ("baseline-total", "baseline-tail", "baseline-errors")
    assert states(verdict) == dict.fromkeys(names, State.PASS)
    assert verdict.exit_code == 0
    claims = {one.claim for one in verdict.findings if one.objective == "baseline-total"}
    assert claims == {"total time at most 10 % above run yesterday"}


def test_a_run_worse_than_its_baseline_fails_inside_its_own_slos():
    verdict = judged(FOUND, arm_tally(factor=1.3, n=1000))
    assert states(verdict)["baseline-total"] is State.FAIL
    assert verdict.exit_code == 20
    assert verdict.reason.startswith("baseline-total, openai: +27 % [")
    assert any("--slowest 5" in step and "arm=" not in step for step in verdict.next_steps)


def test_margins_are_those_of_the_policy():
    wide = BaselinePolicy(margins=Margins(latency=0.5))
    verdict = judged(FOUND, arm_tally(factor=1.3, n=1000), policy=wide)
    assert states(verdict)["baseline-total"] is not State.FAIL


def test_arms_keep_their_own_names():
    run = manifest(scenario=replace(scenario(), arms=Arms(Arm("baseline"), Arm("canary"))))
    verdict = judged(None, arm_tally(n=2000), of=run)
    assert {one.objective for one in verdict.findings} >= {"canary-total", "canary-errors"}


def test_the_verdict_file_holds_the_comparison():
    verdict = judged(ABSENT)
    assert states(verdict_json.parse(verdict_json.render(verdict))) == states(verdict)

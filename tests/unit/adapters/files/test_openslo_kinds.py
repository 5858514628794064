"""Every kind is read and checked; references lead somewhere; budgets of all three methods."""

import pytest
from test_openslo_strictness import BY_REFERENCE, RATIO, SLI, problems

from tfy_last9.adapters.files.openslo import load_objectives
from tfy_last9.model.objective import (
    Book,
    Budgeting,
    Composite,
    Condition,
    Limit,
    Operator,
    Population,
    Quality,
    Ratio,
    Scalar,
    Slicing,
)
from tfy_last9.model.trace import Role

ALERTS = """\
apiVersion: openslo/v1
kind: AlertPolicy
metadata: {name: page}
spec:
  alertWhenBreaching: true
  conditions: [{conditionRef: fast-burn}]
  notificationTargets: [{targetRef: on-call}]
---
apiVersion: openslo/v1
kind: AlertCondition
metadata: {name: fast-burn}
spec:
  severity: page
  condition: {kind: burnrate, op: gt, threshold: 14.4, lookbackWindow: 1h, alertAfter: 5m}
---
apiVersion: openslo/v1
kind: AlertNotificationTarget
metadata: {name: on-call}
spec: {target: email}
---
apiVersion: openslo/v1
kind: Service
metadata: {name: gateway}
spec: {description: the AI gateway}
"""
WITH_ALERT = RATIO.replace(
    "  objectives:", "  alertPolicies: [{alertPolicyRef: page}]\n  objectives:"
)


def load(tmp_path, *texts):
    for number, text in enumerate(texts):
        (tmp_path / f"{number}.yaml").write_text(text)
    return load_objectives(tmp_path)


def test_every_kind_is_read_over_several_files(tmp_path):
    (objective,) = load(tmp_path, WITH_ALERT, ALERTS)
    assert objective.name == "errors"


ALERT_FAULTS = {
    "a policy that is nowhere": ("name: page}", "name: pager}", 'there is no AlertPolicy "page"'),
    "a condition that is nowhere": (
        "conditionRef: fast-burn",
        "conditionRef: fast-brun",
        'did you mean "fast-burn"?',
    ),
    "a target that is nowhere": ("targetRef: on-call", "targetRef: x", "AlertNotificationTarget"),
    "two conditions": (
        "[{conditionRef: fast-burn}]",
        "[{conditionRef: a}, {conditionRef: b}]",
        "1",
    ),
    "no target": ("[{targetRef: on-call}]", "[]", "at least 1"),
    "no severity": ("  severity: page\n", "", '"severity" is missing'),
    "a condition of another kind": ("kind: burnrate", "kind: budget", "burnrate"),
    "no operator": ("op: gt, ", "", '"op" is missing'),
    "an unknown key of a service": ("{description: the AI", "{describe: the AI", "unknown key"),
}


@pytest.mark.parametrize("case", ALERT_FAULTS)
def test_a_faulty_alert_is_refused(tmp_path, case):
    old, new, message = ALERT_FAULTS[case]
    assert old in ALERTS
    found = problems(tmp_path, f"{WITH_ALERT}---\n{ALERTS.replace(old, new)}")
    assert message in "\n".join(map(str, found))


SLICED = {
    "Timeslices": Slicing(Budgeting.TIMESLICES, 60, 0.9),
    "RatioTimeslices": Slicing(Budgeting.RATIO_TIMESLICES, 60, None),
}


@pytest.mark.parametrize("method", SLICED)
def test_time_slices_are_read(tmp_path, method):
    own = "timeSliceTarget: 0.9, " if method == "Timeslices" else ""
    text = RATIO.replace("Occurrences", method)
    text = text.replace("target: 0.99", f"target: 0.99, {own}timeSliceWindow: 1m")
    assert load(tmp_path, text)[0].slicing == SLICED[method]


COMPOSITE = BY_REFERENCE.replace("  indicatorRef: slow\n", "").replace(
    "[{op: lte, value: 10, target: 0.9}]",
    """
    - {displayName: slow, op: lte, value: 10, target: 0.9, indicatorRef: slow, compositeWeight: 2}
    - displayName: failed
      target: 0.99
      indicator:
        metadata: {name: failed}
        spec:
          ratioMetric:
            counter: false
            bad: {metricSource: {type: client-ledger, spec: {outcome: timeout}}}
            total: {metricSource: {type: client-ledger, spec: {count: started}}}""",
)


def test_a_composite_keeps_target_and_weight_of_each_member(tmp_path):
    (objective,) = load(tmp_path, COMPOSITE, SLI)
    assert isinstance(objective.indicator, Composite)
    members = objective.indicator.members
    assert [(m.name, m.target, m.weight) for m in members] == [
        ("slow", 0.9, 2.0),
        ("failed", 0.99, 1.0),
    ]


def test_members_of_a_composite_share_their_groups(tmp_path):
    text = COMPOSITE.replace("count: started", "count: started, groupBy: [provider]")
    (problem,) = problems(tmp_path, f"{text}\n---\n{SLI}")
    assert "need the same groupBy" in problem.message


def good(spec):
    return RATIO.replace("bad: {", "good: {").replace("{outcome: [timeout]}", spec)


def test_goodput_is_a_share_of_requests_that_meet_every_limit(tmp_path):
    text = good("{outcome: ok, within: {ttft_ms: {lte: 1500}, tokens_per_s: {gte: 20}}}")
    assert load(tmp_path, text)[0].indicator == Ratio(
        Population(Book.LEDGER, None),
        (),
        Quality(
            (Condition("outcome", ("ok",)),),
            (Limit("ttft_ms", Operator.LTE, 1500.0), Limit("tokens_per_s", Operator.GTE, 20.0)),
        ),
    )


GOOD_FAULTS = {
    "an unknown field": ("{within: {ttft: {lte: 5}}}", 'did you mean "ttft_ms"?'),
    "a limit without operator": ("{within: {ttft_ms: 5}}", "expected limits such as"),
    "an unknown operator": ("{within: {ttft_ms: {max: 5}}}", "expected one of lte"),
    "a limit in words": ("{within: {ttft_ms: {lte: fast}}}", "expected a number"),
    "a limit that is no number": ("{within: {ttft_ms: {lte: true}}}", "expected a number"),
    "limits that are no mapping": ("{within: [ttft_ms]}", "expected fields with limits"),
    "has that is no list": ("{has: input_tokens}", "expected a list"),
    "nothing": ("{has: []}", "say what is good"),
}


@pytest.mark.parametrize("case", GOOD_FAULTS)
def test_a_faulty_good_is_refused(tmp_path, case):
    spec, message = GOOD_FAULTS[case]
    assert message in "\n".join(map(str, problems(tmp_path, good(spec))))


def scalar(spec, book="last9"):
    return f"{SLI}---\n{BY_REFERENCE}".replace("client-ledger", book).replace(
        "{field: ttft_ms}", spec
    )


def test_not_one_trace_missing_is_a_number_of_the_run(tmp_path):
    (objective,) = load(tmp_path, scalar("{scalar: missing_traces, groupBy: [provider]}"))
    assert objective.indicator == Scalar(Book.LAST9, "missing_traces", Operator.LTE, 10.0)
    assert objective.group_by == ("provider",)


def test_a_number_of_the_run_has_no_slices(tmp_path):
    text = scalar("{scalar: missing_traces}").replace("Occurrences", "RatioTimeslices")
    text = text.replace("target: 0.9", "target: 0.9, timeSliceWindow: 1m")
    (problem,) = problems(tmp_path, text)
    assert "has no slices" in problem.message


def test_a_number_of_the_run_is_known_to_its_book(tmp_path):
    (problem,) = problems(tmp_path, scalar("{scalar: missing_traces}", "client-ledger"))
    assert "expected one of failed_requests" in problem.message


def test_a_fact_of_the_whole_trace_is_asked_of_its_root(tmp_path):
    (problem,) = problems(tmp_path, scalar("{span: model, field: spans_per_trace}"))
    assert "ask it of span: root" in problem.message


def test_attributes_may_be_required_of_a_span(tmp_path):
    spec = "{span: model, has: [input_tokens, cost_usd, team]}"
    text = good(spec).replace("client-ledger", "last9").replace("count: started", "span: model")
    assert load(tmp_path, text)[0].indicator == Ratio(
        Population(Book.LAST9, Role.MODEL), (), Quality(has=("input_tokens", "cost_usd", "team"))
    )

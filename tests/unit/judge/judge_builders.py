"""Objectives, tallies and runs with sane defaults, so that a test shows only what matters."""

from dataclasses import replace

from tfy_last9.judge.gate import judge
from tfy_last9.model.objective import (
    Book,
    Completeness,
    Condition,
    Objective,
    Operator,
    Population,
    Ratio,
    Threshold,
)
from tfy_last9.model.run import Counters, EvidenceRecord, Manifest, Window, WorkerFacts
from tfy_last9.model.scenario import (
    Api,
    ArrivalKind,
    Driver,
    Limits,
    Message,
    OnInconclusive,
    Phase,
    Policy,
    Prompt,
    Scenario,
    Settle,
    Target,
)
from tfy_last9.model.trace import Role
from tfy_last9.model.verdict import Accounting, Tally, Validity

N = 1000
"""Requests of the run that the builders describe."""


def provider(name):
    return (("provider", name),)


def objective(indicator=None, *, name="slo", **changes):
    indicator = indicator or Threshold(
        Population(Book.LEDGER, None), "ttft_ms", Operator.LTE, 1500.0
    )
    made = Objective(
        name=name,
        display_name=name,
        service="gateway",
        indicator=indicator,
        target=0.95,
        group_by=("provider",),
        critical=True,
        confidence=0.95,
        path="slo.yaml",
        line=4,
    )
    return replace(made, **changes)


def latency(**changes):
    return objective(name="ttft", **changes)


def errors(**changes):
    bad = (Condition("outcome", ("timeout", "provider_error")),)
    changes = {"target": 0.99, **changes}
    return objective(Ratio(Population(Book.LEDGER, None), bad), name="errors", **changes)


def span_latency(**changes):
    population = Population(Book.LAST9, Role.MODEL)
    indicator = Threshold(population, "duration_ms", Operator.LTE, 2000.0)
    return objective(indicator, name="provider-latency", **changes)


def completeness(**changes):
    changes = {"target": 0.995, **changes}
    return objective(Completeness((Role.ROOT, Role.MODEL)), name="completeness", **changes)


def tally(bad=0, total=N, group="openai", **changes):
    made = Tally(
        group=provider(group) if group else (),
        expected=True,
        total=total,
        bad=bad,
        excluded=0,
        quantile=None,
        exemplars=(),
    )
    return replace(made, **changes)


def scenario(on_inconclusive=OnInconclusive.FAIL):
    target = Target(
        name="openai",
        model="acc/m",
        provider="openai",
        may_reach=("openai",),
        api=Api.CHAT,
        stream=True,
        weight=1,
        max_tokens=None,
        headers={},
        body={},
    )
    return Scenario(
        name="smoke",
        description="",
        driver=Driver.STREAM,
        seed=1,
        arrivals=ArrivalKind.POISSON,
        targets=(target,),
        phases=(
            Phase("warm-up", 5.0, 50.0, judged=False),
            Phase("steady", 20.0, 50.0, judged=True),
        ),
        prompts=(Prompt((Message("user", "hello"),)),),
        limits=Limits(100, 5.0, 30.0, 30.0, 120.0),
        metadata={},
        settle=Settle(120.0, 30.0, 2.0),
        policy=Policy(on_inconclusive),
    )


def manifest(**changes):
    made = Manifest(
        run_id="r1",
        created_ns=0,
        scenario=scenario(),
        versions={},
        digests={},
        gateway_url="http://127.0.0.1:1",
        sandbox=True,
        client_only=False,
        faults=(),
        expected_workers=1,
        start_ns=0,
        end_ns=1,
        ended="schedule",
        workers=(WorkerFacts(0, 0, N, drained=True),),
        counters=Counters(N, N, 0, N, 0),
    )
    return replace(made, **changes)


def accounting(**changes):
    made = Accounting(
        intended=N,
        missed=0,
        unsent=0,
        refused=0,
        unanswered=0,
        answered=N,
        unreported=0,
        expected_traces=N,
        joined=N,
        late=0,
        lost=0,
        conflicts=0,
        complete=N,
        optional_found=0,
        join_paths=(("header", N),),
        lag=None,
        lag_p50_s=None,
        lag_max_s=None,
    )
    return replace(made, **changes)


def validity(**changes):
    made = Validity(
        offered=N,
        started=N,
        missed=0,
        finished=N,
        unreported=0,
        start_lag_p99_ms=1.0,
        hub_lag_p99_ms=1.0,
        problems=(),
        warnings=(),
    )
    return replace(made, **changes)


def evidence(**changes):
    made = EvidenceRecord(
        strategy="rows",
        window=Window(0, 1),
        region="r",
        organisation="o",
        cluster="c",
        link_base=None,
        queries=1,
        rows_fetched=1,
        bytes_fetched=1,
        truncated=(),
        late_after_s=30.0,
        deadline_s=120.0,
        settled=True,
    )
    return replace(made, **changes)


def verdict(objectives, tallies, **parts):
    """Judge a sound run; `parts` replaces manifest, accounting, validity or evidence."""
    return judge(
        parts.get("manifest", manifest()),
        objectives,
        tallies,
        parts.get("accounting", accounting()),
        parts.get("validity", validity()),
        parts.get("evidence", evidence()),
    )

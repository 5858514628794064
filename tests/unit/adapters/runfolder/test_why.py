"""Causes counted by hand: where, in which stage, since when, and what bad events have in common."""

from dataclasses import replace

from runfolder_builders import MS, Ask, S, build_row, build_span, reduced, spans_ask

from tfy_last9.judge.decide import decide
from tfy_last9.judge.why import details, sentence
from tfy_last9.model.trace import Role, SpanStatus

TTFT = "tfy.model.metric.time_to_first_token_in_ms"


def request(seq, *, queue=1, gateway=10, wait=300, stream=500, **changes):
    """One request and its trace, made of its stages in milliseconds."""
    due = seq * S
    started, first = due + queue * MS, due + (queue + gateway + wait) * MS
    finished = first + stream * MS
    row = build_row(seq, started_ns=started, first_token_ns=first, finished_ns=finished)
    provider = changes.get("provider", "openai")
    root = build_span(seq, Role.ROOT, duration_ns=(wait + stream) * MS)
    model = build_span(
        seq,
        Role.MODEL,
        duration_ns=(wait + stream) * MS,
        attributes={TTFT: wait},
        provider=provider,
    )
    return row | changes, [root, model]


def explained(tmp_path, requests, objective, **options):
    rows = [row for row, _ in requests]
    spans = [span for _, trace in requests for span in trace]
    reduction = reduced(tmp_path, rows, spans, objective, **options)
    findings = [decide(objective, tally) for tally in reduction.tallies()[objective.name]]
    causes = reduction.causes([finding for finding in findings if finding.bad])
    return {group: why for (_, group), why in causes.items()}


def total(**changes):
    return Ask(group_by=("provider",), **changes).threshold("total_ms", 2000)


def only(found):
    (why,) = found.values()
    return why


def stage_of(tmp_path, objective=None, **slow):
    requests = [request(seq) for seq in range(30)] + [request(seq, **slow) for seq in range(30, 40)]
    return only(explained(tmp_path, requests, objective or total())).stages[0]


def test_the_slow_stage_is_named_with_its_share_and_times(tmp_path):
    for name, slow in {
        "queue": {"queue": 3001},
        "gateway": {"gateway": 3010},
        "provider wait": {"wait": 3300},
        "streaming": {"stream": 3500},
    }.items():
        stage = stage_of(tmp_path / name, **slow)
        assert stage.name == name
        assert stage.share > 0.99
        assert round(stage.bad_ms - stage.good_ms) == 3000


def test_a_late_first_token_is_never_blamed_on_streaming(tmp_path):
    objective = Ask().threshold("ttft_ms", 1000)
    stage = stage_of(tmp_path, objective, wait=3300, stream=9000)
    assert stage.name == "provider wait"
    assert stage.share > 0.99


def test_a_failed_attempt_counts_as_waiting_for_a_provider(tmp_path):
    row, (root, model) = request(30, gateway=3010)
    failed = replace(model, span_id="f" * 16, status=SpanStatus.ERROR, duration_ns=3 * S)
    requests = [request(seq) for seq in range(30)] + [(row, [root, failed, model])]
    stage = only(explained(tmp_path, requests, total())).stages[0]
    assert stage.name == "provider wait"
    assert stage.share > 0.99


def test_a_provider_that_is_always_slow_is_held_against_the_others(tmp_path):
    requests = [request(seq) for seq in range(10)]
    requests += [
        request(seq, provider="gemini", target="gemini", wait=2300) for seq in range(10, 20)
    ]
    why = only(explained(tmp_path, requests, total()))
    assert dict(why.where)["provider"][0].name == "gemini"
    assert sentence(why) == "provider wait explains 99.5 % of it"
    assert any(
        line.startswith("time: provider wait 99.5 %, 2.3 s (good ones 300 ms)")
        for line in details(why)
    )


def test_errors_are_placed_where_they_happened(tmp_path):
    outcomes = ["connect_error", "rejected_rate_limit", "provider_error", "timeout"]
    requests = [request(seq, outcome=outcome) for seq, outcome in enumerate(outcomes)]
    objective = Ask().ratio(outcome=tuple(outcomes))
    stages = {
        stage.name: stage.share for stage in only(explained(tmp_path, requests, objective)).stages
    }
    assert stages == {"gateway": 0.5, "provider wait": 0.25, "streaming": 0.25}


def test_the_first_bad_minute_is_the_first_one_above_the_budget(tmp_path):
    requests = [
        request(seq, wait=3300 if seq >= 130 or seq == 5 else 300) for seq in range(0, 180, 5)
    ]
    why = only(explained(tmp_path, requests, replace(total(), target=0.9)))
    assert why.first_bad_minute == 2


def test_what_bad_requests_have_in_common_is_told_beyond_chance(tmp_path):
    requests = [
        request(seq, wait=3300 if seq % 3 == 0 else 300, worker=1 if seq % 3 == 0 else 0)
        for seq in range(90)
    ]
    (lift,) = only(explained(tmp_path, requests, total())).lifts
    assert (lift.label, lift.value, lift.bad, lift.total) == ("worker", "1", 30, 30)
    assert lift.factor > 5


def test_chance_alone_has_nothing_in_common(tmp_path):
    requests = [
        request(seq, wait=3300 if seq % 3 == 0 else 300, worker=seq % 2) for seq in range(60)
    ]
    assert only(explained(tmp_path, requests, total())).lifts == ()


def test_missing_traces_say_where_and_no_stage(tmp_path):
    requests = [request(0), (request(1)[0], [])]
    objective = replace(spans_ask().complete(), name="complete")
    why = only(explained(tmp_path, requests, objective))
    assert dict(why.where)["seen"][0].name == "missing"
    assert why.stages == ()


def test_a_gateway_that_is_slow_to_everybody_is_named(tmp_path):
    """Good requests waited for it too: a comparison with them alone would blame the provider."""
    requests = [request(seq, gateway=310, wait=200 + seq % 10 * 50) for seq in range(60)]
    why = only(explained(tmp_path, requests, Ask().threshold("ttft_ms", 750)))
    assert why.stages[0].name == "gateway"
    assert why.stages[0].share > 0.5

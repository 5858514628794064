"""Production mode: live spans become a run folder that is judged like any other."""

from dataclasses import replace
from pathlib import Path

import pytest
from runfolder_builders import EPOCH_NS, MS, S, build_page, build_span

from tfy_last9.adapters.files.openslo import load_objectives
from tfy_last9.adapters.live import open_live, record_live
from tfy_last9.adapters.runfolder.evidence import EvidenceStore
from tfy_last9.cli.judging import decide
from tfy_last9.cli.live import LiveRequest, live_window
from tfy_last9.errors import ConfigurationError
from tfy_last9.judge.live import asks_last_week, needs_ledger, told, with_last_week
from tfy_last9.model.run import Calls, EvidenceRecord, LastWeek, Window
from tfy_last9.model.trace import Role, SpanStatus
from tfy_last9.model.verdict import State

ROOT = Path(__file__).parents[4]
PRODUCTION = ROOT / "slo" / "production"
HOUR = Window(EPOCH_NS, EPOCH_NS + 3600 * S)


def trace(seq, provider="openai", *, failed=False):
    """A request of somebody else: no run id, no request id."""
    status = SpanStatus.ERROR if failed else SpanStatus.OK
    values = {
        "tfy.model.metric.time_to_first_token_in_ms": 280.0,
        "tfy.model.metric.cost_in_usd": 0.01,
    }
    values |= {"tfy.model.metric.input_tokens": 9, "tfy.model.metric.output_tokens": 9}
    root = build_span(
        seq, Role.ROOT, run_id=None, request_id=None, status=status, duration_ns=900 * MS
    )
    model = build_span(seq, Role.MODEL, provider=provider, status=status, attributes=values)
    return [root, model]


def judged(tmp_path, spans, window=HOUR, **record):
    folder = open_live(PRODUCTION, tmp_path, window, EPOCH_NS + 7200 * S)
    record_live(folder, spans, window)
    with EvidenceStore(folder, (Role.ROOT, Role.MODEL)) as book:
        book.add(build_page(spans, asked_s=4000))
        book.save()
    evidence = EvidenceRecord(
        *("rows", window, None, None, None, None, 1, len(spans), 0, (), 0.0, 0.0), settled=True
    )
    folder.write_evidence(replace(evidence, **record))
    return decide(folder, load_objectives(PRODUCTION))


def states(verdict, objective):
    return {
        dict(finding.group).get("provider"): finding.state
        for finding in verdict.findings
        if finding.objective == objective
    }


def healthy(providers=("openai", "anthropic", "gemini"), each=600):
    return [
        span
        for seq in range(each * len(providers))
        for span in trace(seq, providers[seq % len(providers)])
    ]


def test_live_traces_pass_without_a_ledger_and_whoever_sent_them(tmp_path):
    verdict = judged(tmp_path, healthy())
    assert verdict.validity.problems == ()
    assert set(states(verdict, "provider-latency-p95").values()) == {State.PASS}
    assert states(verdict, "client-visible-errors") == {None: State.PASS}


def test_a_provider_that_is_expected_and_silent_is_no_data(tmp_path):
    verdict = judged(tmp_path, healthy(("openai", "anthropic")))
    assert states(verdict, "provider-errors") == {
        "anthropic": State.PASS,
        "gemini": State.NO_DATA,
        "openai": State.PASS,
    }
    assert verdict.state is State.NO_DATA


def test_requests_outside_the_window_are_not_judged(tmp_path):
    late = [span for seq in range(3700, 3710) for span in trace(seq, failed=True)]
    verdict = judged(tmp_path, [*healthy(), *late])
    assert states(verdict, "provider-errors")["openai"] is State.PASS


def test_cut_evidence_is_never_a_verdict(tmp_path):
    verdict = judged(tmp_path, healthy(), truncated=(HOUR,))
    assert (verdict.state, verdict.reason_code) == (State.ERROR, "truncated")


def test_burn_rates_are_told_for_the_windows_that_fit(tmp_path):
    spans = [span for seq in range(3600) for span in trace(seq, failed=seq % 4 == 0)]
    verdict = judged(tmp_path, spans)
    (finding,) = [one for one in verdict.findings if one.objective == "client-visible-errors"]
    (rate,) = finding.burn_rates
    assert (rate.long_s, rate.short_s, rate.is_exceeded) == (3600, 300, True)
    assert rate.factor == pytest.approx(14.4)
    assert rate.long_rate == pytest.approx(0.25 / 0.005)


def test_a_short_look_keeps_silent_about_burn_rates(tmp_path):
    verdict = judged(tmp_path, healthy(), Window(EPOCH_NS, EPOCH_NS + 3599 * S))
    assert all(finding.burn_rates == () for finding in verdict.findings)


def test_objectives_of_a_ledger_are_not_judged_on_traces_alone():
    nightly = {one.name: needs_ledger(one) for one in load_objectives(ROOT / "slo" / "nightly")}
    assert nightly["client-ttft-p99"]
    assert nightly["trace-completeness"]
    assert nightly["no-trace-missing"]
    assert nightly["statuses-agree"]
    assert nightly["client-minus-gateway-p95"]
    assert not nightly["gateway-minus-provider-p95"]
    assert not nightly["cost-of-the-run"]
    assert not any(needs_ledger(one) for one in load_objectives(PRODUCTION))


def asked(last=None, start=None, end=None):
    request = LiveRequest(last, start, end, PRODUCTION, Path("runs"))
    return live_window(request, 10_000 * S)


def test_the_last_hour_ends_a_minute_ago():
    assert asked("1h") == Window((10_000 - 60 - 3600) * S, (10_000 - 60) * S)


def test_a_window_may_be_named_by_its_ends():
    window = asked(start="1970-01-01T00:10:00Z", end="1970-01-01T00:20:00+00:00")
    assert window == Window(600 * S, 1200 * S)
    assert asked(start="1970-01-01T00:10:00").end_ns == (10_000 - 60) * S


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"last": "1h", "start": "1970-01-01"}, "exclude each other"),
        ({"last": "an hour"}, "--last an hour"),
        ({"end": "1970-01-01"}, "--to needs --from"),
        ({"start": "yesterday"}, "expected an instant"),
        ({"start": "1970-01-02", "end": "1970-01-01"}, "is not before"),
    ],
)
def test_a_window_that_makes_no_sense_is_refused(options, message):
    with pytest.raises(ConfigurationError, match=message):
        asked(**options)


def provider_errors():
    return next(one for one in load_objectives(PRODUCTION) if one.name == "provider-errors")


def test_last_week_says_whom_to_expect_only_where_nothing_else_does():
    named = provider_errors()
    open_ = replace(named, expect=())
    week = LastWeek(HOUR, (Calls("gemini", 9), Calls("openai", 10)))
    assert not asks_last_week(named)
    assert asks_last_week(open_)
    assert not asks_last_week(replace(open_, group_by=("region",)))
    assert [one.expect for one in with_last_week([named, open_], week)] == [
        named.expect,
        ("openai",),
    ]
    assert with_last_week([open_], None) == (open_,)


def test_an_empty_week_is_told_and_expects_nobody():
    nothing = LastWeek(HOUR, ())
    assert with_last_week([replace(provider_errors(), expect=())], nothing)[0].expect == ()
    assert "tfy-last9/expect" in told(nothing)

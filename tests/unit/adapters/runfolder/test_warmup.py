"""Which calls belong to the warm-up: told by trace, by request, and by time only where neither is known."""

from dataclasses import replace

import pytest
from runfolder_builders import (
    EPOCH_NS,
    S,
    build_manifest,
    build_missed,
    build_row,
    build_span,
    new_folder,
    trace_of,
    write_work,
)

from tfy_last9.adapters.runfolder.seal import seal
from tfy_last9.adapters.runfolder.warmup import WarmUp, judged_calls, warm_up
from tfy_last9.model.trace import Role

JUDGED = ("steady",)
SINCE = EPOCH_NS + 10 * S


def ledger(tmp_path, *rows):
    folder = new_folder(tmp_path, build_manifest())
    write_work(folder, list(rows))
    seal(folder)
    return folder.require_ledger()


def row(seq, phase, at_s, **changes):
    instants = {"due_ns": at_s * S, "started_ns": at_s * S, "finished_ns": (at_s + 3) * S}
    return build_row(seq, phase=phase, **instants) | changes


def call(seq, at_s, **changes):
    attributes = {"tfy.span_type": "Model"}
    span = build_span(seq, Role.MODEL, attributes=attributes)
    return replace(span, **{"start_ns": EPOCH_NS + int(at_s * S), **changes})


def test_the_warm_up_lasts_until_its_last_request_ended(tmp_path):
    rows = [row(0, "warm-up", 1), row(1, "warm-up", 9), row(2, "steady", 10)]
    assert warm_up(ledger(tmp_path, *rows), JUDGED) == WarmUp(EPOCH_NS + 12 * S, 0)


def test_what_was_never_sent_ends_nothing(tmp_path):
    rows = [build_missed(0) | {"phase": "warm-up"}, row(1, "steady", 10)]
    assert warm_up(ledger(tmp_path, *rows), JUDGED) == WarmUp(None, 0)


def test_requests_that_were_given_up_are_counted(tmp_path):
    rows = [row(0, "warm-up", 1, outcome="timeout"), row(1, "steady", 10)]
    assert warm_up(ledger(tmp_path, *rows), JUDGED).given_up == 1


def test_a_late_call_of_the_warm_up_is_not_judged_and_an_early_one_of_a_request_is(tmp_path):
    path = ledger(tmp_path, row(0, "warm-up", 9), row(1, "steady", 10))
    late, early = call(0, 11.5), call(1, 9.99)
    assert judged_calls(path, JUDGED, [late, early], SINCE) == (early,)


@pytest.mark.parametrize("phase", ["warm-up", "steady"])
def test_without_a_trace_in_the_ledger_the_request_tells(tmp_path, phase):
    known = row(0, phase, 9, trace_id=None, client_trace_id=None)
    path = ledger(tmp_path, known, row(1, "steady", 10))
    root = replace(build_span(0, Role.ROOT), request_id=known["request_id"])
    found = judged_calls(path, JUDGED, [root, call(0, 9.5 if phase == "steady" else 11)], SINCE)
    assert len(found) == (phase == "steady")


def test_a_call_nobody_names_goes_by_its_time(tmp_path):
    path = ledger(tmp_path, row(0, "warm-up", 1), row(1, "steady", 10))
    strangers = [call(5, 9.5), call(6, 10.5)]
    assert [span.trace_id for span in judged_calls(path, JUDGED, strangers, SINCE)] == [trace_of(6)]


def test_only_spans_that_are_counted_by_last9_count(tmp_path):
    path = ledger(tmp_path, row(0, "steady", 10))
    others = [
        build_span(0, Role.ROOT),
        replace(call(0, 11), attributes={}),
        replace(call(0, 11), role=Role.OTHER),  # the gateway's own limit: nobody was asked
        replace(call(0, 11), attributes={"tfy.span_type": "llm"}),
    ]
    assert len(judged_calls(path, JUDGED, others, SINCE)) == 1

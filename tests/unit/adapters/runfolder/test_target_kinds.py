"""Targets beside streamed chat: what each can have, what its traces show, and what its answers are worth."""

from dataclasses import replace

import pytest
from runfolder_builders import (
    MS,
    Ask,
    build_row,
    build_scenario,
    build_span,
    build_target,
    build_trace,
    conditions,
    reduced,
    sealed_folder,
    spans_ask,
)

from tfy_last9.adapters.runfolder.arms import MIRRORED
from tfy_last9.adapters.runfolder.database import literal, open_database
from tfy_last9.adapters.runfolder.ledger import ledger_relation
from tfy_last9.model.applicability import can_have
from tfy_last9.model.check import Quota
from tfy_last9.model.fields import VALUE_FIELDS, Needs
from tfy_last9.model.objective import Book, Limit, Operator, Population, Quality, Ratio, Scalar
from tfy_last9.model.request import LedgerRow
from tfy_last9.model.scenario import Api
from tfy_last9.model.trace import Role, SpanStatus
from tfy_last9.model.verdict import Limited


def tally_of(tmp_path, rows, objective, spans=(), scenario=None):
    (tally,) = reduced(tmp_path, rows, list(spans), objective, scenario=scenario).tallies()[
        objective.name
    ]
    return tally


def mcp_row(seq, operation="tools/call", **more):
    silent = dict.fromkeys(("first_token_ns", "first_answer_ns", "last_token_ns", "chunks"))
    return build_row(seq, api="mcp", stream=False, operation=operation, **(silent | more))


def mcp_trace(seq):
    return [build_span(seq, Role.ROOT), build_span(seq, Role.MCP)]


@pytest.mark.parametrize("field", ["ttft_ms", "max_gap_ms", "output_tokens", "cost_usd"])
def test_what_a_tool_cannot_have_is_not_applicable(tmp_path, field):
    tally = tally_of(tmp_path, [mcp_row(0), mcp_row(1)], Ask().threshold(field, 1.0))
    assert (tally.total, tally.excluded, tally.inapplicable) == (0, 2, 2)


def test_a_refused_stream_could_have_had_a_first_token(tmp_path):
    """It is excluded, and still no reason to call the objective not applicable."""
    row = build_row(0, outcome="rejected_rate_limit", first_token_ns=None)
    tally = tally_of(tmp_path, [row], Ask().threshold("ttft_ms", 1.0))
    assert (tally.excluded, tally.inapplicable) == (1, 0)


def test_tool_calls_are_timed_and_the_handshake_is_not(tmp_path):
    rows = [mcp_row(0, "initialize"), mcp_row(1), mcp_row(2, outcome="timeout")]
    tally = tally_of(tmp_path, rows, Ask().threshold("tool_ms", 1e6))
    assert (tally.total, tally.bad, tally.inapplicable) == (2, 1, 1)


def test_an_answer_of_tool_calls_alone_owes_no_first_answer(tmp_path):
    rows = [
        build_row(0, first_answer_ns=None, tool_calls=1),
        build_row(1, first_answer_ns=None),
        build_row(2, first_answer_ns=None, tool_calls=1, outcome="stream_broken"),
    ]
    tally = tally_of(tmp_path, rows, Ask().threshold("first_answer_ms", 1e6))
    assert (tally.total, tally.bad, tally.excluded, tally.inapplicable) == (2, 2, 1, 0)


def test_a_tool_shows_an_mcp_span_where_others_show_a_model_span(tmp_path):
    rows = [mcp_row(0), mcp_row(1), build_row(2)]
    spans = [*mcp_trace(0), build_span(1, Role.ROOT), *build_trace(2)]
    tally = tally_of(tmp_path, rows, Ask().complete(), spans)
    assert (tally.total, tally.bad) == (3, 1)


def test_of_a_plain_endpoint_only_the_root_is_asked_for(tmp_path):
    row = build_row(0, api="http", stream=False)
    assert tally_of(tmp_path, [row], Ask().complete(), [build_span(0, Role.ROOT)]).bad == 0


def test_a_notification_need_not_leave_a_trace(tmp_path):
    rows = [mcp_row(0), mcp_row(1, "notifications/initialized")]
    found = reduced(tmp_path, rows, mcp_trace(0), Ask().complete()).accounting()
    assert (found.expected_traces, found.complete, found.lost) == (1, 1, 0)


def test_model_spans_are_not_asked_of_tools(tmp_path):
    tally = tally_of(
        tmp_path, [mcp_row(0)], spans_ask().threshold("duration_ms", 1.0), mcp_trace(0)
    )
    assert (tally.total, tally.excluded, tally.inapplicable) == (0, 1, 1)


@pytest.mark.parametrize(
    "ratio",
    [
        Ask().ratio(outcome=("http_error", "timeout")),
        Ask().ratio(outcome="check_failed"),
        Ask()._objective(
            Ratio(
                Population(Book.LEDGER, None), (), Quality(Ask().ratio(outcome="ok").indicator.bad)
            )
        ),
        Ask()._objective(
            Ratio(
                Population(Book.LEDGER, None),
                (),
                Quality(
                    Ask().ratio(outcome="ok").indicator.bad,
                    (Limit("total_ms", Operator.LTE, 1e6),),
                ),
            )
        ),
    ],
)
def test_an_answer_that_fails_a_check_is_bad_in_errors_and_goodput(tmp_path, ratio):
    rows = [build_row(0), build_row(1, check_failed="regex")]
    tally = tally_of(tmp_path, rows, ratio)
    assert (tally.total, tally.bad) == (2, 1)
    assert tally.exemplars[0].detail == "check failed: regex"


def test_an_answer_that_fails_a_check_is_no_timeout(tmp_path):
    row = build_row(0, check_failed="regex")
    assert tally_of(tmp_path, [row], Ask().ratio(outcome="timeout")).bad == 0


def test_failed_checks_are_failed_requests(tmp_path):
    rows = [build_row(0), build_row(1, check_failed="regex"), build_row(2, outcome="timeout")]
    scalar = Ask()._objective(Scalar(Book.LEDGER, "failed_requests", Operator.LTE, 1.0))
    assert tally_of(tmp_path, rows, scalar).scalar == 2


def test_turns_that_never_came_due_do_not_look_like_a_late_generator(tmp_path):
    unsent = {"outcome": "aborted", "started_ns": None, "finished_ns": None, "written": False}
    rows = [
        build_row(0, turn=1, session_id="s", arrival=0),
        build_row(1, turn=2, session_id="s", arrival=0, error_type="session_ended", **unsent),
    ]
    reduction = reduced(tmp_path, rows, build_trace(0), Ask().complete())
    assert (reduction.validity().offered, reduction.validity().started) == (1, 1)
    assert (reduction.accounting().intended, reduction.accounting().unsent) == (2, 1)


def test_tools_that_nobody_was_to_call_are_no_missing_data(tmp_path):
    asked = Ask(where=conditions(operation="tools/call")).threshold("tool_ms", 1.0)
    tally = tally_of(tmp_path, [build_row(0)], asked)
    assert (tally.total, tally.excluded, tally.inapplicable) == (0, 1, 1)


AGENT = {"tfy.span_type": "AgentResponse"}
FAILED = {"status": SpanStatus.ERROR}


@pytest.mark.parametrize(
    ("root", "first", "is_fallback"),
    [({}, {}, True), (AGENT, {}, False), (AGENT, FAILED, True), ({}, FAILED, True)],
)
def test_steps_of_an_agent_are_no_fallbacks_unless_one_failed(tmp_path, root, first, is_fallback):
    top = build_span(0, Role.ROOT)
    spans = [
        replace(top, attributes={**top.attributes, **root}),
        build_span(0, Role.MODEL, **first),
        build_span(0, Role.MODEL, span_id="f" * 16, model="b/m", start_ns=top.start_ns + 50 * MS),
    ]
    ratio = spans_ask(span=Role.ROOT).ratio(fallback="yes")
    assert tally_of(tmp_path, [build_row(0)], ratio, spans).bad == int(is_fallback)


def test_a_target_with_a_quota_says_how_many_were_turned_away(tmp_path):
    scenario = build_scenario(
        targets=(build_target(quota=Quota(rpm=60)), build_target("anthropic"))
    )
    refused = {"outcome": "rejected_rate_limit", "first_token_ns": None}
    rows = [
        *(build_row(seq) for seq in range(3)),
        build_row(3, **refused),
        build_row(4, target="anthropic", provider="anthropic", **refused),
        build_row(5, target="anthropic", provider="anthropic"),
    ]
    objective = Ask(group_by=("provider",)).threshold("ttft_ms", 1e6)
    tallies = reduced(tmp_path, rows, [], objective, scenario=scenario).tallies()["objective"]
    assert {tally.group[0][1]: tally.limited for tally in tallies} == {
        "openai": (Limited("openai", 1, 4),),
        "anthropic": (),
    }


def test_mirrored_turns_are_paired_by_arrival_and_turn():
    with open_database() as database:
        found = database.execute(
            f"SELECT {MIRRORED} FROM (VALUES (7, 3, 1), (9, 3, 2), (8, NULL, NULL)) l(seq, arrival, turn)"
        ).fetchall()
    assert found == [(3_000_001,), (3_000_002,), (4,)]


def test_a_ledger_of_an_older_version_has_todays_columns(tmp_path):
    folder = sealed_folder(tmp_path, [build_row(0)])
    old = tmp_path / "old.parquet"
    with open_database() as database:
        database.execute(
            f"COPY (SELECT * EXCLUDE (arrival, turn, operation) FROM read_parquet("
            f"{literal(folder.ledger_path)})) TO {literal(old)} (FORMAT parquet)"
        )
        found = database.execute(f"SELECT * FROM {ledger_relation(old)}")
        assert [column[0] for column in found.description] == list(LedgerRow._fields)
        assert len(found.fetchall()) == 1


def test_the_ledger_and_the_plan_agree_about_what_applies(tmp_path):
    """`plan` asks the target, the reducer asks the row: one table in two languages."""
    kinds = [(api, stream) for api in Api for stream in (True, False)]
    rows = [
        build_row(
            seq,
            api=api.value,
            stream=stream,
            operation="tools/call" if api is Api.MCP else None,
        )
        for seq, (api, stream) in enumerate(kinds)
    ]
    fields = [field for book, field in VALUE_FIELDS if book is Book.LEDGER]
    ask = Ask(group_by=("api", "stream"))
    objectives = [replace(ask.threshold(field, 1.0), name=field) for field in fields]
    tallies = reduced(tmp_path, rows, [], *objectives).tallies()
    for field in fields:
        needs = VALUE_FIELDS[Book.LEDGER, field].needs
        found = {
            tuple(value for _, value in tally.group): tally.inapplicable == 0
            for tally in tallies[field]
        }
        assert found == {
            (api.value, str(stream).lower()): can_have(needs, build_target(api=api, stream=stream))
            for api, stream in kinds
        }, field
    assert {VALUE_FIELDS[Book.LEDGER, field].needs for field in fields} == set(Needs)

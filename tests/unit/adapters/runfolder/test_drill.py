"""Drilling down: the right requests, with the spans that were seen of them."""

from __future__ import annotations

import pytest
from runfolder_builders import (
    S,
    build_page,
    build_row,
    build_span,
    build_trace,
    collect,
    conditions,
    sealed_folder,
    trace_of,
)

from tfy_last9.adapters.runfolder.drill import Question, drill, values_of
from tfy_last9.adapters.runfolder.folder import RunFolder
from tfy_last9.errors import BrokenRun
from tfy_last9.model.request import LedgerRow
from tfy_last9.model.trace import Role


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """0 fast; 1 slow; 2 timed out, trace lost; 3 to anthropic, no Model span; 4 a conflict."""
    rows = [
        build_row(0),
        build_row(1, finished_ns=8 * S),
        build_row(2, outcome="timeout"),
        build_row(3, target="anthropic", provider="anthropic"),
        build_row(4, trace_id=trace_of(9)),
    ]
    spans = [
        *build_trace(0, resource={"team": "core"}),
        *build_trace(1),
        build_span(3, Role.ROOT),
        *build_trace(9, run_id="x", request_id="x.9"),
        *build_trace(7),
    ]
    made = sealed_folder(tmp_path_factory.mktemp("drill"), rows)
    collect(made, build_page(spans, 3.0))
    return made


def shown(folder: RunFolder, question: Question) -> list[int]:
    return [item.row.seq for item in drill(folder, question) if item.row]


def test_rows_come_with_their_spans(folder: RunFolder) -> None:
    first = drill(folder, Question())[0]
    assert isinstance(first.row, LedgerRow)
    assert first.row.request_id == "r1.0"
    assert list(first.spans) == build_trace(0, resource={"team": "core"})
    assert first.note == "joined by header, seen 2.0 s after the finish at the latest"


def test_questions_select_what_they_say(folder: RunFolder) -> None:
    assert shown(folder, Question()) == [0, 1, 2, 3, 4]
    assert shown(folder, Question(slowest=2)) == [1, 0]
    assert shown(folder, Question(failed=True)) == [2]
    assert shown(folder, Question(missing=True)) == [2, 3, 4]
    assert shown(folder, Question(limit=1)) == [0]
    assert shown(folder, Question(where=conditions(provider="anthropic"))) == [3]
    assert shown(folder, Question(where=conditions(team="core"))) == [0]
    assert shown(folder, Question(where=conditions(outcome="ok"), slowest=1)) == [1]
    assert shown(folder, Question(where=conditions(status="ok"), missing=True)) == [3]
    assert shown(folder, Question(trace_id=trace_of(1).upper())) == [1]


def test_notes_say_how_the_books_disagree(folder: RunFolder) -> None:
    notes = {item.row.seq: item.note for item in drill(folder, Question()) if item.row}
    assert notes[2] == "no trace in Last9"
    assert notes[3].endswith("incomplete")
    assert notes[4].startswith("join conflict")


def test_the_spans_of_a_conflict_are_not_shown_as_the_requests_own(folder: RunFolder) -> None:
    assert drill(folder, Question())[4].spans == ()


def test_a_trace_of_the_run_without_a_row_can_be_shown(folder: RunFolder) -> None:
    (only,) = drill(folder, Question(trace_id=trace_of(7)))
    assert only.row is None
    assert len(only.spans) == 3


def test_an_unknown_trace_is_an_error_that_says_so(folder: RunFolder) -> None:
    with pytest.raises(BrokenRun, match="neither the ledger nor the evidence"):
        drill(folder, Question(trace_id="f" * 32))


@pytest.mark.parametrize(
    ("label", "some"),
    [("provider", "anthropic"), ("outcome", "timeout"), ("status", "ok"), ("fallback", "no")],
)
def test_the_values_of_a_label_are_known_from_both_books(folder, label, some):
    assert some in values_of(folder, label)


def test_an_attribute_has_no_list_of_values(folder):
    assert values_of(folder, "team") == []

"""The evidence book: which rows found which trace, whatever the order of the looks."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from threading import Thread

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from runfolder_builders import (
    EPOCH_NS,
    MS,
    RUN,
    WHOLE_RUN,
    S,
    build_page,
    build_record,
    build_row,
    build_span,
    build_trace,
    collect,
    sealed_folder,
    trace_of,
    unsent,
)

from tfy_last9.adapters.runfolder.evidence import EvidenceStore
from tfy_last9.adapters.runfolder.folder import RunFolder
from tfy_last9.adapters.runfolder.reduce import Reduction
from tfy_last9.model.run import Look, Window
from tfy_last9.model.trace import Role, Span, SpanStatus
from tfy_last9.ports import Outstanding, Page

REQUIRED = (Role.ROOT, Role.MODEL)
Rows = list[tuple[object, ...]]


def joins(folder: RunFolder) -> Rows:
    query = f"SELECT seq, join_path, trace_id, root_span_id FROM '{folder.ledger_path}'"
    return duckdb.sql(f"{query} ORDER BY seq").fetchall()


def paths(folder: RunFolder) -> list[object]:
    return [row[1] for row in joins(folder)]


def saved(folder: RunFolder, columns: str) -> Rows:
    query = f"SELECT {columns} FROM '{folder.spans_path}' ORDER BY trace_id, start_ns, span_id"
    return duckdb.sql(query).fetchall()


def outstanding(folder: RunFolder, *pages: Page) -> Outstanding:
    with EvidenceStore(folder, REQUIRED) as store:
        for page in pages:
            store.add(page)
        return store.outstanding()


def test_the_header_joins_a_row_to_its_trace(tmp_path: Path) -> None:
    folder = sealed_folder(tmp_path, [build_row(0)])
    collect(folder, build_page(build_trace(0)))
    assert joins(folder) == [(0, "header", trace_of(0), build_span(0, Role.ROOT).span_id)]


def test_a_lost_header_is_made_good_by_the_metadata(tmp_path: Path) -> None:
    folder = sealed_folder(tmp_path, [build_row(0, trace_id=None, root_span_id=None)])
    collect(folder, build_page(build_trace(0)))
    assert joins(folder) == [(0, "metadata", trace_of(0), build_span(0, Role.ROOT).span_id)]


def test_without_header_and_metadata_the_traceparent_joins(tmp_path: Path) -> None:
    row = build_row(0, trace_id=None, root_span_id=None, client_trace_id=trace_of(0))
    spans = [replace(span, request_id=None, run_id=None) for span in build_trace(0)]
    folder = sealed_folder(tmp_path, [row])
    collect(folder, build_page(spans))
    assert paths(folder) == ["traceparent"]


def test_a_header_that_names_the_trace_of_another_request_is_a_conflict(tmp_path: Path) -> None:
    """Joining it would count somebody else's spans for this request."""
    folder = sealed_folder(tmp_path, [build_row(0, trace_id=trace_of(1)), build_row(1)])
    collect(folder, build_page(build_trace(0) + build_trace(1)))
    assert paths(folder) == [None, "header"]
    assert joins(folder)[0][2] == trace_of(1)


def test_a_header_whose_trace_is_not_there_falls_back_to_the_metadata(tmp_path: Path) -> None:
    folder = sealed_folder(tmp_path, [build_row(0, trace_id="f" * 32)])
    collect(folder, build_page(build_trace(0)))
    assert paths(folder) == ["metadata"]


def test_a_root_without_request_id_does_not_contradict_the_header(tmp_path: Path) -> None:
    folder = sealed_folder(tmp_path, [build_row(0)])
    spans = [replace(span, request_id=None) for span in build_trace(0)]
    collect(folder, build_page(spans))
    assert paths(folder) == ["header"]


def test_one_trace_proves_one_request(tmp_path: Path) -> None:
    """A gateway, or a cache before it, that repeats one header must not look complete."""
    rows = [build_row(seq, trace_id=trace_of(0), root_span_id=None) for seq in range(3)]
    folder = sealed_folder(tmp_path, rows)
    spans = [replace(span, request_id=None, run_id=None) for span in build_trace(0)]
    collect(folder, build_page(spans))
    assert paths(folder) == ["header", None, None]
    with Reduction(folder, []) as reduction:
        found = reduction.accounting()
    assert (found.joined, found.conflicts, found.complete) == (1, 2, 1)


def test_of_rows_that_name_one_trace_the_one_it_names_keeps_it(tmp_path: Path) -> None:
    rows = [build_row(0, trace_id=trace_of(1), root_span_id=None), build_row(1)]
    folder = sealed_folder(tmp_path, rows)
    collect(folder, build_page(build_trace(1)))
    assert paths(folder) == [None, "header"]


def test_requests_that_share_a_trace_keep_a_root_each(tmp_path: Path) -> None:
    """A gateway that continues the client's trace may put several requests into one."""
    rows = [build_row(0), build_row(1, trace_id=trace_of(0))]
    folder = sealed_folder(tmp_path, rows)
    others = [replace(span, trace_id=trace_of(0)) for span in build_trace(1)]
    collect(folder, build_page(build_trace(0) + others))
    assert paths(folder) == ["header", "header"]
    with Reduction(folder, []) as reduction:
        assert reduction.accounting().conflicts == 0


def test_a_row_whose_trace_was_lost_stays_unjoined(tmp_path: Path) -> None:
    folder = sealed_folder(tmp_path, [build_row(0)])
    collect(folder, build_page([]))
    assert joins(folder) == [(0, None, trace_of(0), build_span(0, Role.ROOT).span_id)]


def test_collecting_again_keeps_what_was_seen_before(tmp_path: Path) -> None:
    rows = [build_row(0), build_row(1, trace_id=None, root_span_id=None)]
    folder = sealed_folder(tmp_path, rows)
    everything = build_page(build_trace(0) + build_trace(1))
    collect(folder, everything)
    first = joins(folder)
    collect(folder, build_page([]))
    assert joins(folder) == first
    collect(folder, everything)
    assert joins(folder) == first


def test_traffic_of_others_is_not_written_to_the_run_folder(tmp_path: Path) -> None:
    folder = sealed_folder(tmp_path, [build_row(0)])
    foreign = build_trace(7, run_id="other", request_id="other.7")
    unclaimed = build_trace(8, run_id=RUN, request_id=f"{RUN}.8")
    collect(folder, build_page(build_trace(0) + foreign + unclaimed))
    assert {trace for (trace,) in saved(folder, "trace_id")} == {trace_of(0), trace_of(8)}


def test_the_root_is_the_span_whose_parent_is_no_gateway_span(tmp_path: Path) -> None:
    """An agent's inner chat completion looks like a root by its type."""
    inner = replace(build_span(0, Role.GUARDRAIL), role=Role.ROOT, request_id=f"{RUN}.9")
    called = [
        replace(span, parent_span_id="c" * 16) if span.role is Role.ROOT else span
        for span in build_trace(0)
    ]
    folder = sealed_folder(tmp_path, [build_row(0)])
    collect(folder, build_page([inner]), build_page(called))
    roles = dict(saved(folder, "span_id, role"))
    assert roles[inner.span_id] == "other"
    assert roles[called[0].span_id] == "root"
    assert paths(folder) == ["header"]


def test_an_orphan_does_not_stand_in_for_a_lost_root(tmp_path: Path) -> None:
    orphan = build_span(0, Role.OTHER)
    left = outstanding(
        sealed_folder(tmp_path, [build_row(0)]), build_page([orphan, build_span(0, Role.MODEL)])
    )
    assert (left.expected, left.complete) == (1, 0)


def test_completeness_asks_for_every_required_role(tmp_path: Path) -> None:
    rows = [build_row(seq) for seq in range(3)]
    spans = [*build_trace(0), build_span(1, Role.ROOT), build_span(2, Role.MODEL)]
    left = outstanding(sealed_folder(tmp_path, rows), build_page(spans))
    assert (left.expected, left.complete) == (3, 1)
    assert left.trace_ids == (trace_of(1), trace_of(2))


def test_of_an_http_error_only_the_root_is_asked_for(tmp_path: Path) -> None:
    rows = [build_row(0, outcome="http_error"), build_row(1, outcome="provider_error")]
    spans = [build_span(0, Role.ROOT), build_span(1, Role.ROOT)]
    left = outstanding(sealed_folder(tmp_path, rows), build_page(spans))
    assert (left.expected, left.complete) == (2, 1)


def test_what_was_never_written_or_was_refused_is_not_waited_for(tmp_path: Path) -> None:
    rows = [
        build_row(0, outcome="rejected_rate_limit"),
        build_row(1, outcome="connect_error", written=False, **unsent()),
        build_row(2, outcome="aborted", written=False),
        build_row(3, outcome="missed", written=False, started_ns=None),
        build_row(4, outcome="aborted"),
        build_row(5, phase="warm-up"),
    ]
    assert outstanding(sealed_folder(tmp_path, rows)).expected == 2


def test_windows_are_padded_and_merged_when_close(tmp_path: Path) -> None:
    rows = [build_row(seq) for seq in (0, 1, 13, 40)]
    left = outstanding(sealed_folder(tmp_path, rows))
    # Seconds: 0..2 and 13..14, padded to -2..4 and 11..16, are 7 s apart; 38..43 is 22 s further.
    assert left.windows == (
        Window(EPOCH_NS + MS - 2 * S, EPOCH_NS + 16 * S),
        Window(EPOCH_NS + MS + 38 * S, EPOCH_NS + 43 * S),
    )


def test_a_window_reaches_to_the_finish_where_a_fallback_may_have_started(tmp_path: Path) -> None:
    folder = sealed_folder(tmp_path, [build_row(0, finished_ns=25 * S)])
    assert outstanding(folder).windows[0].end_ns == EPOCH_NS + 27 * S


def seen(folder: RunFolder, *pages: Page) -> dict[object, tuple[object, object]]:
    """Seconds since schedule zero: last looked at in vain, first seen."""
    collect(folder, *pages)
    rows = saved(folder, "role, unseen_ns, first_seen_ns")

    def second(instant: object) -> object:
        return None if instant is None else (int(str(instant)) - EPOCH_NS) / S

    return {role: (second(unseen), second(first)) for role, unseen, first in rows}


def test_first_sight_and_the_last_look_in_vain_are_remembered(tmp_path: Path) -> None:
    folder = sealed_folder(tmp_path, [build_row(0)])
    spans = build_trace(0)
    looks = [build_page([], 5.0), build_page([], 8.0), build_page(spans, 9.0), build_page([], 9.5)]
    assert set(seen(folder, *looks).values()) == {(8.0, 9.0)}


def test_a_look_at_roots_proves_nothing_about_other_spans(tmp_path: Path) -> None:
    folder = sealed_folder(tmp_path, [build_row(0)])
    roots = build_page([], 8.0, roots_only=True)
    found = seen(folder, roots, build_page(build_trace(0), 9.0))
    assert found == {"root": (8.0, 9.0), "model": (None, 9.0), "http": (None, 9.0)}


def test_a_look_elsewhere_or_cut_off_there_proves_nothing(tmp_path: Path) -> None:
    folder = sealed_folder(tmp_path, [build_row(0)])
    elsewhere = build_page([], 7.0, window=Window(EPOCH_NS + 60 * S, EPOCH_NS + 90 * S))
    cut = build_page([], 8.0, truncated=(Window(EPOCH_NS, EPOCH_NS + S),))
    found = seen(folder, elsewhere, cut, build_page(build_trace(0), 9.0))
    assert set(found.values()) == {(None, 9.0)}


def test_of_disagreeing_copies_the_worse_one_counts(tmp_path: Path) -> None:
    good = build_span(0, Role.MODEL)
    bad = replace(good, status=SpanStatus.ERROR, status_message="overloaded")
    for name, spans in (("a", (good, bad)), ("b", (bad, good))):
        folder = sealed_folder(tmp_path / name, [build_row(0)])
        collect(folder, *(build_page([span], 50.0 + at) for at, span in enumerate(spans)))
        assert saved(folder, "status, status_message") == [("error", "overloaded")]


def test_attributes_that_are_no_plain_dict_or_hold_nulls_survive(tmp_path: Path) -> None:
    folder = sealed_folder(tmp_path, [build_row(0)])
    attributes = {"a.b": 1, "quote\"'": "x\n", "none": None, "tfy.request.metadata": {"k": "v"}}
    collect(folder, build_page([build_span(0, Role.ROOT, attributes=attributes)]))
    text = saved(folder, "json_extract_string(attributes, '/tfy.request.metadata/k')")
    assert text == [("v",)]


def test_a_watching_thread_may_add_while_others_ask(tmp_path: Path) -> None:
    rows = [build_row(seq) for seq in range(20)]
    folder = sealed_folder(tmp_path, rows)
    with EvidenceStore(folder, REQUIRED) as store:
        watcher = Thread(
            target=lambda: [store.add(build_page(build_trace(seq))) for seq in range(20)]
        )
        watcher.start()
        counts = [store.outstanding().complete for _ in range(5)]
        watcher.join()
        assert counts == sorted(counts)
        assert store.outstanding().complete == 20


SPANS: tuple[Span, ...] = tuple(span for seq in range(4) for span in build_trace(seq))
LOOKS = tuple(
    build_page(list(SPANS[start : start + 6]), 50.0 + start, roots_only=start == 4)
    for start in range(0, len(SPANS), 2)
)


def _evidence_after(pages: list[Page]) -> tuple[Rows, Rows]:
    with tempfile.TemporaryDirectory() as place:
        rows = [build_row(0), build_row(1, trace_id=trace_of(2)), build_row(2, trace_id=None)]
        folder = sealed_folder(Path(place), rows)
        collect(folder, *pages)
        return joins(folder), saved(folder, "*")


IN_ORDER = _evidence_after(list(LOOKS))


@settings(max_examples=8, deadline=None)
@given(
    order=st.permutations(LOOKS),
    repeated=st.lists(st.sampled_from(LOOKS), max_size=3),
)
def test_shuffling_or_repeating_looks_changes_nothing(
    order: list[Page], repeated: list[Page]
) -> None:
    assert _evidence_after(order + repeated) == IN_ORDER


def test_looks_cover_half_open_windows(tmp_path: Path) -> None:
    root = build_span(0, Role.ROOT)
    folder = sealed_folder(tmp_path, [build_row(0)])
    until = build_page([], 7.0, window=Window(WHOLE_RUN.start_ns, root.start_ns))
    onward = build_page([], 8.0, window=Window(root.start_ns, root.start_ns + 1))
    assert seen(folder, until, build_page([root], 9.0)) == {"root": (None, 9.0)}
    assert seen(folder, onward, build_page([root], 9.0)) == {"root": (8.0, 9.0)}


def test_a_look_at_roots_proves_nothing_about_a_root_without_the_run_id(tmp_path: Path) -> None:
    """It asked for the run id; a root that lost its metadata cannot be in the answer."""
    folder = sealed_folder(tmp_path, [build_row(0), build_row(1)])
    bare = [replace(span, run_id=None, request_id=None) for span in build_trace(0)]
    early = build_page([], asked_s=10, roots_only=True)
    collect(folder, early, build_page([*bare, *build_trace(1)], asked_s=50))
    roots = [row for row in saved(folder, "role, trace_id, unseen_ns") if row[0] == "root"]
    assert roots == [("root", trace_of(0), None), ("root", trace_of(1), early.asked_ns)]


def test_a_span_of_an_earlier_collection_keeps_the_instants_of_its_sight(tmp_path: Path) -> None:
    folder = sealed_folder(tmp_path, [build_row(0)])
    collect(folder, build_page([], asked_s=10), build_page(build_trace(0), asked_s=50))
    before = saved(folder, "span_id, unseen_ns, first_seen_ns")
    collect(folder, build_page(build_trace(0), asked_s=90_000))
    assert saved(folder, "span_id, unseen_ns, first_seen_ns") == before
    assert before[0][1:] == (EPOCH_NS + 10 * S, EPOCH_NS + 50 * S)


def test_a_trace_that_a_later_collection_finds_is_late_and_not_lost(tmp_path: Path) -> None:
    """The earlier look at everything is kept in evidence.json: it proves when the trace was not there."""
    folder = sealed_folder(tmp_path, [build_row(0)])
    collect(folder, build_page([], asked_s=100))
    look = Look(WHOLE_RUN, EPOCH_NS + 100 * S, roots_only=False)
    folder.write_evidence(build_record(looks=(look,)))
    collect(folder, build_page(build_trace(0), asked_s=90_000))
    assert {row[0] for row in saved(folder, "unseen_ns")} == {EPOCH_NS + 100 * S}
    with Reduction(folder, ()) as reduction:
        found = reduction.accounting()
    assert (found.late, found.lost, found.joined) == (1, 0, 0)


def test_spans_are_taken_in_by_the_batch_and_at_once_when_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tfy_last9.adapters.runfolder.evidence.BATCH", 4)
    folder = sealed_folder(tmp_path, [build_row(n) for n in range(5)])
    with EvidenceStore(folder, REQUIRED) as store:
        for n in range(5):
            store.add(build_page(build_trace(n)))
        assert store.spans() == 15
        assert store.outstanding().complete == 5


def test_the_ledger_names_its_traces_by_header_or_by_what_was_sent(tmp_path: Path) -> None:
    bare = build_row(1, trace_id=None, root_span_id=None)
    folder = sealed_folder(tmp_path, [build_row(0), bare])
    with EvidenceStore(folder, REQUIRED) as store:
        assert set(store.trace_ids()) == {trace_of(0), bare["client_trace_id"]}

import json

import pytest
from gateway_settings import seen, settings_with

from tfy_last9.standins.faults import FaultSet, parse
from tfy_last9.standins.gateway import identifiers
from tfy_last9.standins.gateway.catalogue import CARDS
from tfy_last9.standins.gateway.export import TraceExport
from tfy_last9.standins.gateway.story import Attempt, Story
from tfy_last9.standins.journal import Journal


def story(k: int) -> Story:
    card = CARDS[k % 3]
    return Story(
        trace_id=identifiers.trace_id(k),
        root_span_id=identifiers.span_id(),
        parent_span_id=None,
        received_ns=0,
        wall_offset_ns=0,
        finished_ns=10,
        requested_model=card.name,
        attempts=[Attempt(card, started_ns=1, finished_ns=9, status=200)],
        status=200,
        outcome="ok",
    )


class Memory:
    """An exporter that keeps the spans."""

    def __init__(self):
        self.spans = []

    def export(self, spans):
        self.spans += map(seen, spans)

    def stop(self):
        pass


@pytest.fixture
def export_of(tmp_path):
    """Send stories under some faults and give the spans that were exported and the journal."""

    def run(stories, *faults):
        path = tmp_path / "journal.ndjson"
        chosen = settings_with()
        memory = Memory()
        with Journal(path, "gateway") as journal:
            export = TraceExport(chosen, journal, FaultSet(map(parse, faults), seed=11), memory)
            for told in stories:
                export.submit(told)
            export.close()
        return memory.spans, [json.loads(line) for line in path.read_text().splitlines()]

    return run


def test_without_faults_every_trace_is_exported_whole_on_close(export_of):
    spans, journal = export_of([story(k) for k in range(30)])
    assert len(spans) == 90
    assert len({span.trace_id for span in spans}) == 30
    assert journal == []


def test_a_lost_trace_loses_all_its_spans_and_the_journal_names_it(export_of):
    stories = [story(k) for k in range(100)]
    spans, journal = export_of(stories, "trace_loss=0.05")
    dropped = {line["trace_id"] for line in journal if line["event"] == "trace_dropped"}
    assert len(dropped) == 5
    assert all(line["fault"] == "trace_loss=0.05" for line in journal)
    exported = {span.trace_id for span in spans}
    assert exported == {f"{told.trace_id:032x}" for told in stories} - dropped
    assert len(spans) == 95 * 3


def test_a_silent_provider_keeps_its_roots(export_of):
    spans, journal = export_of([story(k) for k in range(30)], "provider_silent:gemini")
    removed = [line for line in journal if line["event"] == "spans_removed"]
    assert len(removed) == 10
    assert {line["provider"] for line in removed} == {"gemini"}
    assert {line["spans"] for line in removed} == {2}
    roots = [span for span in spans if not span.parent]
    assert len(roots) == 30
    assert len(spans) == 30 + 20 * 2
    assert not [span for span in spans if "gemini" in span.name and span.parent]


def test_delayed_traces_are_journalled_and_still_flushed_on_close(export_of):
    """A gateway that is stopped sends what it holds; nothing is lost without a journal line."""
    spans, journal = export_of([story(k) for k in range(20)], "trace_delay=40s@0.1")
    delayed = [line for line in journal if line["event"] == "trace_delayed"]
    assert [line["delay_s"] for line in delayed] == [40.0, 40.0]
    assert len(spans) == 60
    on_time = {span.trace_id for span in spans[:54]}
    assert not on_time & {line["trace_id"] for line in delayed}


def test_loss_counts_do_not_depend_on_other_faults(export_of):
    stories = [story(k) for k in range(40)]
    _, journal = export_of(stories, "trace_loss=0.1", "trace_delay=40s", "provider_silent:openai")
    assert sum(line["event"] == "trace_dropped" for line in journal) == 4
    assert sum(line["event"] == "trace_delayed" for line in journal) == 36

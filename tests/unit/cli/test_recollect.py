"""What is said after the evidence of a run was fetched again."""

from dataclasses import replace

import pytest

from tfy_last9.cli.recollect import changes
from tfy_last9.model.run import Collection, EvidenceRecord

FIRST = Collection(
    1, expected=2800, complete=2780, spans=8340, queries=5, bytes_fetched=9, error=None
)


def record(*collections):
    return EvidenceRecord(
        strategy="rows",
        window=None,
        region=None,
        organisation=None,
        cluster=None,
        link_base=None,
        queries=1,
        rows_fetched=1,
        bytes_fetched=1,
        truncated=(),
        late_after_s=30.0,
        deadline_s=60.0,
        settled=True,
        collections=collections,
    )


def test_traces_spans_and_verdict_that_changed_are_named():
    after = record(FIRST, replace(FIRST, complete=2792, spans=8376))
    (text,) = changes(record(FIRST), after, "FAIL", "PASS")
    assert text == (
        "changed: +12 complete traces (2,780 -> 2,792 of 2,800); +36 spans of the run;"
        " verdict FAIL -> PASS"
    )


@pytest.mark.parametrize("again", [False, True])
def test_nothing_new_is_said_as_well(again):
    before = record(FIRST)
    after = record(FIRST, FIRST) if again else before
    assert changes(before, after, "PASS", "PASS") == ["changed: nothing"]


def test_a_first_collection_has_nothing_to_compare_with():
    assert changes(None, record(FIRST), None, "PASS") == []

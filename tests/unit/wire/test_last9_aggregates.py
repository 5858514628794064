"""Answers to aggregates: every plausible shape is read, none is guessed at."""

import pytest

from tfy_last9.wire.last9 import UnreadableAnswer
from tfy_last9.wire.last9_aggregates import as_count, read_count, read_groups


@pytest.mark.parametrize(
    "row",
    [
        {"metric": {"provider": "openai", "n": 970}, "values": []},
        {"metric": {"provider": "openai", "n": "970"}, "values": []},
        {"metric": {"provider": "openai", "n": 970.0}, "values": None},
        {"metric": {"provider": "openai"}, "value": [1795417200, "970"]},
        {"metric": {"provider": "openai"}, "values": [[1795417200, "970"]]},
        {"metric": {"provider": "openai"}, "value": 970},
        {"provider": "openai", "n": 970},
    ],
)
def test_a_group_is_read_in_every_form(row):
    (group,) = read_groups([row], ["provider"], "n")
    assert (group.labels, group.value, group.at_s) == (("openai",), 970.0, None)


def test_an_absent_label_is_an_empty_text():
    (group,) = read_groups([{"metric": {"n": 1, "b": None}}], ["a", "b"], "n")
    assert group.labels == ("", "")


def test_a_window_row_carries_its_second():
    (group,) = read_groups([{"metric": {"__ts__": "1795417260", "n": 61}}], [], "n")
    assert group.at_s == 1795417260


@pytest.mark.parametrize(
    "row",
    [
        {"metric": {"provider": "openai"}, "values": []},
        {"metric": {"n": "many"}},
        {"metric": {"n": True}},
        {"metric": {"n": float("nan")}},
        {"metric": {"n": "NaN"}},
        {"metric": {}, "values": [[1, "1"], [2, "2"]]},
        "n=5",
    ],
)
def test_a_number_that_is_not_there_is_not_zero(row):
    with pytest.raises(UnreadableAnswer):
        read_groups([row], [], "n")


def test_a_group_that_is_shown_twice_is_refused():
    """Parts of a split aggregate, glued together: neither the last nor the sum is known to be right."""
    row = {"metric": {"provider": "openai", "n": 1}}
    with pytest.raises(UnreadableAnswer, match="twice"):
        read_groups([row, row], ["provider"], "n")


def test_nothing_counted_is_none():
    assert read_count([], "n") == 0
    assert read_count([{"metric": {"n": 3}}], "n") == 3


@pytest.mark.parametrize("value", [-1.0, 1.5])
def test_a_count_is_whole_and_not_negative(value):
    with pytest.raises(UnreadableAnswer):
        as_count(value)


def test_the_time_of_a_sample_is_the_stretch_only_where_a_window_was_asked_for():
    row = {"metric": {"provider": "openai"}, "value": [1795417260, "61"]}
    (group,) = read_groups([row], ["provider"], "n", over_time=True)
    assert (group.at_s, group.value) == (1795417260, 61.0)
    (group,) = read_groups([row], ["provider"], "n")
    assert group.at_s is None

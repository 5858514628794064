"""The counts strategy around the end of the warm-up: every call on its own side, or it is said."""

import itertools
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfy_last9.adapters.files.openslo import load_objectives
from tfy_last9.adapters.files.scenario import load_scenario
from tfy_last9.adapters.last9.settings import Last9Settings
from tfy_last9.adapters.last9.survey import Reach, Survey
from tfy_last9.adapters.runfolder.warmup import WarmUp
from tfy_last9.cli.counts import choose, parts

ROOT = Path(__file__).parents[3]

S = 10**9
SINCE = 1_795_417_205 * S + 300_000_000
END = SINCE + 600 * S


def seconds(window):
    return (window.start_ns - SINCE) / S, (window.end_ns - SINCE) / S


def test_without_a_warm_up_everything_is_counted_from_before_the_start():
    split = parts(SINCE, END, WarmUp(None, 0))
    assert split.edge is None
    assert split.warnings == ()
    assert split.counted.start_ns <= SINCE - S // 4
    assert split.counted.end_ns > END


def test_counting_begins_when_the_last_request_of_the_warm_up_is_over():
    split = parts(SINCE, END, WarmUp(SINCE + 4 * S, 0))
    assert seconds(split.edge) == (-1.3, pytest.approx(5.7))
    assert split.counted.start_ns == split.edge.end_ns
    assert split.warnings == ()


def test_a_warm_up_that_ends_in_time_still_has_an_edge():
    split = parts(SINCE, END, WarmUp(SINCE - 10 * S, 0))
    assert split.edge.start_ns <= SINCE < split.edge.end_ns


def test_a_request_of_the_warm_up_that_was_given_up_is_told():
    (warning,) = parts(SINCE, END, WarmUp(SINCE + S, 3)).warnings
    assert warning.startswith("3 requests of the warm-up were given up")


@pytest.mark.parametrize("after_s", [500, 599.5, 5000])
def test_where_the_edge_would_be_long_the_second_decides_and_it_is_told(after_s):
    split = parts(SINCE, END, WarmUp(SINCE + int(after_s * S), 0))
    assert split.edge is None
    assert split.counted.start_ns >= SINCE
    assert "counted by time" in split.warnings[0]


@given(st.integers(0, 10**10), st.integers(-(10**11), 10**11), st.integers(2 * S, 10**12))
def test_the_parts_touch_and_cover_the_judged_time(since_ns, late_ns, length_ns):
    split = parts(since_ns, since_ns + length_ns, WarmUp(since_ns + late_ns, 0))
    windows = [window for window in (split.edge, split.counted) if window is not None]
    assert split.whole.end_ns >= since_ns + length_ns
    for left, right in itertools.pairwise(windows):
        assert left.end_ns == right.start_ns
    if split.edge is not None:
        assert split.edge.start_ns <= since_ns
        assert split.counted.start_ns > since_ns + late_ns


def chosen(spans, **changes):
    scenario = load_scenario(ROOT / "scenarios" / "smoke.yaml")
    manifest = SimpleNamespace(scenario=scenario, start_ns=SINCE, end_ns=END)
    settings = Last9Settings(refresh_token="t", **changes)
    survey = Survey(Reach.WINDOW, spans, spans // 3, spans // 3)
    return choose(settings, survey, load_objectives(ROOT / "slo"), manifest)


def test_a_million_requests_are_read_and_what_is_larger_is_counted_unless_told_otherwise():
    assert chosen(3_000_000).sample is None
    assert chosen(5_000_000).sample is None
    assert chosen(5_000_001).sample is not None
    assert chosen(50_000_000, strategy="rows").sample is None
    assert chosen(300, strategy="counts").sample is not None

"""The background watch: what it tells, how far back it looks, how quickly it ends."""

import threading
from pathlib import Path

import pytest

from tfy_last9.adapters.clock import StoppableClock
from tfy_last9.adapters.files.scenario import load_scenario
from tfy_last9.adapters.last9.settings import Last9Settings
from tfy_last9.app.settle import WatchOutcome
from tfy_last9.cli.watching import affordable_bytes_per_s, trailing_s, warnings
from tfy_last9.errors import Stopped


def test_looks_reach_back_over_the_longest_request_and_the_lateness_limit():
    """A root is looked for by its start: a request of 60 s is late 30 s after that."""
    scenario = load_scenario(Path(__file__).parents[3] / "scenarios" / "smoke.yaml")
    assert trailing_s(scenario) > scenario.limits.total_s + scenario.settle.late_after_s


def test_failed_looks_are_told_with_their_reasons():
    (text,) = warnings(WatchOutcome(polls=9, failed=2, failures=("Last9 is down",), truncated=0))
    assert "2 of 9" in text
    assert "Last9 is down" in text


def test_looks_that_were_cut_are_told():
    (text,) = warnings(WatchOutcome(polls=9, failed=0, failures=(), truncated=3))
    assert "3 of 9" in text


def test_a_watch_without_trouble_tells_nothing():
    assert warnings(WatchOutcome(polls=9, failed=0, failures=(), truncated=0)) == ()


def test_a_pause_between_attempts_ends_when_the_clock_is_stopped():
    """Ctrl-C must not wait out 45 seconds of retries."""
    clock, ended = StoppableClock(), threading.Event()

    def wait():
        with pytest.raises(Stopped):
            clock.sleep(60)
        ended.set()

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    clock.stop()
    assert ended.wait(timeout=5)
    with pytest.raises(Stopped):
        clock.sleep(0)


def test_looks_while_load_runs_spend_a_quarter_of_the_cap_at_most():
    """An hour at a high rate would otherwise use the cap up before the evidence is fetched."""
    scenario = load_scenario(Path(__file__).parents[3] / "scenarios" / "smoke.yaml")
    settings = Last9Settings(refresh_token="t", max_mb=1000)
    spent = affordable_bytes_per_s(settings, scenario) * scenario.duration_s
    assert spent == pytest.approx(0.25 * 1000e6)

"""A running Last9 stand-in for a test."""

import pytest
from last9_sandbox import T0_S, run_in_thread

from tfy_last9.standins.last9.settings import Settings


@pytest.fixture
def start(tmp_path):
    """Start stand-ins with given settings; all are stopped after the test."""
    stops = []

    def begin(settings=None, clock=lambda: float(T0_S)):
        running, stop = run_in_thread(tmp_path, settings or Settings(), clock)
        stops.append(stop)
        return running

    yield begin
    for stop in stops:
        stop()


@pytest.fixture
def last9(start):
    return start()

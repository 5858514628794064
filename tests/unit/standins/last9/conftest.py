"""A running Last9 stand-in for a test."""

import duckdb
import pytest
from last9_sandbox import T0_S, Stage, put_on

from tfy_last9.standins.last9 import store
from tfy_last9.standins.last9.settings import Settings


@pytest.fixture(scope="session", autouse=True)
def last9_stage():
    stage = Stage()
    # Named in-memory databases live as long as one connection to them is open.
    with duckdb.connect(":memory:last9_tests"), pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "LINGER_S", 0.002)
        yield stage
    stage.close()


@pytest.fixture
def start(last9_stage, tmp_path):
    """Start stand-ins with given settings; the newest one answers."""
    ends = []

    def begin(settings=None, clock=lambda: float(T0_S), faults=()):
        path = tmp_path / "journal.ndjson"
        running, take_off = put_on(last9_stage, path, settings or Settings(), clock, faults)
        ends.append(take_off)
        return running

    yield begin
    for take_off in ends:
        take_off()


@pytest.fixture
def last9(start):
    return start()

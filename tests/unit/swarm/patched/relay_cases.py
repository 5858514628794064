"""From a worker's outbox to the master's files: over connections that fail, and onto disks that are full."""

import json
import time
from pathlib import Path
from random import Random
from types import SimpleNamespace

import gevent
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st
from locust.exception import RPCSendError

from tfy_last9.adapters.files.scenario import load_scenario
from tfy_last9.swarm import letters, relay, spool
from tfy_last9.swarm.clocks import BURST, ClockSync, Reading
from tfy_last9.swarm.peers import Peer, host_of
from tfy_last9.swarm.record import Epoch, clock_facts
from tfy_last9.swarm.relay import Outbox
from tfy_last9.swarm.run import Run

ROOT = Path(__file__).parents[4]
SHORT = load_scenario(ROOT / "tests" / "data" / "short.yaml")
MS = 1_000_000


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setattr(letters, "RESEND_S", 0.02)
    monkeypatch.setattr(letters, "GREATEST_RESEND_S", 0.04)
    monkeypatch.setattr(relay, "LOOK_AGAIN_S", 0.01)
    run = Run(SimpleNamespace(work_path=tmp_path / ".work"), SHORT, "run-1")
    run.start_ns = 1
    run.indices = {"host-a_1": 0}
    yield run
    run.close()


def connected(run, passes=lambda _: True):
    """Return an outbox whose letters reach the run when `passes` says so."""
    outbox = None

    def post(data):
        if passes(data):
            run.take(data, lambda through: passes(None) and outbox.acknowledge(through))

    outbox = Outbox("run-1", 0, post)
    return outbox


def row(seq):
    return b'{"seq":%d}\n' % seq


def farewell(**more):
    known = {"worker": 0, "epoch_ns": 5, "rows": 3, "offered": 3, "exhausted": True, "stopped": []}
    return {"farewell": known | more}


def stored(run):
    path = run.spool.folder / "rows-0.ndjson"
    return [json.loads(line)["seq"] for line in path.read_text().splitlines()]


def test_rows_are_on_disk_before_they_are_acknowledged(run):
    outbox = connected(run)
    for seq in range(3):
        outbox.put({}, row(seq))
    assert outbox.settle(5)
    assert stored(run) == [0, 1, 2]
    assert not run.is_complete(0)
    outbox.put(farewell())
    assert outbox.settle(5)
    assert run.is_complete(0)


def test_a_connection_that_loses_letters_and_answers_loses_no_row(run):
    random = Random(3)
    outbox = connected(run, lambda _: random.random() < 0.4)
    for seq in range(20):
        outbox.put({}, row(seq))
    outbox.put(farewell(rows=20))
    assert outbox.settle(20)
    assert sorted(stored(run)) == list(range(20))
    assert outbox.resent > 0
    assert run.is_complete(0)


def test_a_socket_that_cannot_be_written_to_is_tried_again(run):
    refusals = iter([True, True, False])

    def passes(data):
        if data is not None and next(refusals, False):
            raise RPCSendError("ZMQ sent failure")
        return True

    outbox = connected(run, passes)
    outbox.put({}, row(7))
    assert outbox.settle(5)
    assert stored(run) == [7]


def test_a_cut_connection_leaves_a_worker_unsettled_and_its_farewell_missing(run):
    outbox = connected(run, lambda data: data is None or data["number"] != 2)
    outbox.put({}, row(0))
    outbox.put({}, row(1))
    outbox.put(farewell())
    assert not outbox.settle(0.2)
    assert not run.is_complete(0)
    assert run.inboxes[0].gaps == 1
    outbox.close()
    run.close()
    (worker,) = json.loads((run.spool.folder / "swarm.json").read_bytes())["workers"]
    assert (worker["drained"], worker["gaps"], worker["host"]) == (False, 1, "host-a")


def test_a_disk_that_was_full_for_a_while_costs_nothing(run, monkeypatch):
    real, failures = spool._append, iter([True] * 3)

    def torn(path, at, pieces, durable):
        if next(failures, False):
            with Path(path).open("ab") as file:
                file.write(b'{"seq":')
            raise OSError(28, "No space left on device")
        return real(path, at, pieces, durable)

    monkeypatch.setattr(spool, "_append", torn)
    outbox = connected(run)
    for seq in range(4):
        outbox.put({}, row(seq))
    outbox.put(farewell(rows=4))
    assert outbox.settle(10)
    assert stored(run) == [0, 1, 2, 3]
    assert run.spool.failure is None


def test_a_disk_that_stays_full_is_a_problem_and_nothing_is_acknowledged(run, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(spool, "_append", full)
    outbox = connected(run)
    outbox.put({}, row(0))
    assert not outbox.settle(0.2)
    outbox.close()
    run.close()
    report = json.loads((run.spool.folder / "swarm.json").read_bytes())
    assert "No space left" in report["problems"][0]
    assert not report["workers"][0]["drained"]


def test_an_acknowledgement_for_another_run_is_not_ours(run):
    outbox = connected(run)
    assert outbox.is_addressed("run-1", 0)
    assert not outbox.is_addressed("run-0", 0)
    outbox.close()


NS = st.integers(0, 10**9)


@given(there=NS, back=NS, ahead=st.integers(-(10**15), 10**15), wall=st.integers(-(10**12), 10**12))
def test_the_truth_is_within_the_uncertainty_of_every_exchange(there, back, ahead, wall):
    asked = 5 * 10**12
    heard = asked + there + back
    utc = asked + there + ahead
    reading = Reading.of(asked, utc, heard, heard + ahead + wall)
    assert abs(reading.ahead_ns - ahead) <= reading.uncertainty_ns + 1
    assert abs(reading.wall_offset_ns - wall) <= reading.uncertainty_ns + 1


def test_the_fastest_exchange_counts():
    """A master whose clock is 7 s ahead, over a connection that is slow one way most of the time."""
    delays = iter([0.03, 0.0, 0.02, 0.05, 0.04, 0.02, 0.03, 0.02])

    def ask(data):
        def answer():
            gevent.sleep(next(delays))
            clock.answer(data | {"utc_ns": time.time_ns() + 7_000 * MS})

        gevent.spawn(answer)

    clock = ClockSync(ask)
    reading = clock.best(wait_s=5)
    gevent.sleep(0.2)
    reading = clock.best()
    assert abs(reading.wall_offset_ns + 7_000 * MS) <= reading.uncertainty_ns + MS
    assert reading.uncertainty_ns <= min(one.uncertainty_ns for one in clock._readings)
    assert len(clock._readings) == BURST
    epoch = Epoch.by(clock, 0.0)
    assert abs(epoch.utc_ns - time.time_ns() - 7_000 * MS) <= reading.uncertainty_ns + 500 * MS
    assert epoch.utc_of(epoch.monotonic_of(123)) == 123
    facts = clock_facts(epoch, clock)
    assert facts["clock_offset_ns"] == reading.wall_offset_ns


def test_without_an_answer_the_own_clock_is_used_and_nothing_is_claimed():
    epoch = Epoch.by(ClockSync(lambda _: None), 0.01)
    assert set(clock_facts(epoch, None).values()) == {None}
    assert epoch.reading is None


def test_a_process_of_this_machine_is_known_to_be_gone_when_it_is():
    me = Peer.read(Peer.myself().as_data() | {"of-a-newer-version": 1})
    assert not me.is_gone
    child = gevent.subprocess.Popen(["sleep", "60"])
    born = psutil.Process(child.pid).create_time()
    there = Peer(me.version, me.machine, child.pid, born)
    assert not there.is_gone
    assert Peer(me.version, me.machine, child.pid, born - 100).is_gone, (
        "the pid was given out again"
    )
    child.kill()
    child.wait()
    assert there.is_gone
    assert not Peer(me.version, "another machine", child.pid, born).is_gone
    assert not Peer(me.version, "", child.pid, born).is_gone


def test_a_host_is_read_from_a_client_id():
    assert host_of("load_gen_3_0f3c") == "load_gen_3"
    assert host_of("local") == "local"

"""The alarm wakes a greenlet not before its instant, and others run meanwhile."""

import socket
import time

import gevent
import pytest

from tfy_last9.swarm.alarm import Alarm

MS = 1_000_000


@pytest.fixture(params=[True, False], ids=["kernel timer", "sleep"])
def alarm(request):
    alarm = Alarm()
    assert alarm.is_exact, "this machine has no timerfd: the tests ought to run on Linux"
    if not request.param:
        alarm.close()
        assert not alarm.is_exact
    yield alarm
    alarm.close()


def test_nobody_wakes_too_early_and_instants_that_are_past_do_not_block(alarm):
    for after_ns in (5 * MS, MS, 0, -MS, 3 * MS):
        due_ns = time.monotonic_ns() + after_ns
        alarm.wait_until(due_ns)
        assert time.monotonic_ns() >= due_ns - (0 if alarm.is_exact else MS)


def test_other_greenlets_run_meanwhile(alarm):
    ran = []
    gevent.spawn(lambda: ran.append(1))
    alarm.wait_until(time.monotonic_ns() + 10 * MS)
    assert ran == [1]


def test_a_greenlet_that_is_killed_while_it_waits_leaves_a_usable_alarm(alarm):
    waiting = gevent.spawn(alarm.wait_until, time.monotonic_ns() + 60_000 * MS)
    gevent.sleep(0.01)
    waiting.kill()
    due_ns = time.monotonic_ns() + 5 * MS
    alarm.wait_until(due_ns)
    assert time.monotonic_ns() >= due_ns - MS


def test_closing_twice_is_fine():
    alarm = Alarm()
    alarm.close()
    alarm.close()


def test_whoever_lets_others_run_sees_that_they_read_what_came():
    alarm, read = Alarm(), []
    ours, theirs = socket.socketpair()
    with ours, theirs:
        reading = gevent.spawn(lambda: read.append(ours.recv(1)))
        gevent.sleep(0)
        theirs.send(b"x")
        for _ in range(3):
            alarm.let_others_run()
        assert read == [b"x"]
        reading.join(timeout=1)
    alarm.close()

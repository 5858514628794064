"""A Ctrl-C that arrives while a user greenlet runs."""

import os
import signal

import gevent
import pytest

from tfy_last9.swarm import interrupt

pytestmark = pytest.mark.usefixtures("python_handler")


@pytest.fixture
def python_handler():
    before = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def send_and_note(noted):
    """Do what a user does around a write, and be interrupted in the middle of it."""
    try:
        os.kill(os.getpid(), signal.SIGINT)
        noted.append(sum(range(100_000)))  # bytecode, in which Python would run its own handler
    except KeyboardInterrupt:
        noted.append("struck")


def test_a_ctrl_c_strikes_the_main_greenlet_and_no_user():
    interrupt.deliver_to_main_greenlet()
    noted = []
    user = gevent.spawn(send_and_note, noted)
    with pytest.raises(KeyboardInterrupt):
        gevent.sleep(10)
    user.join()
    assert noted == [sum(range(100_000))]


def test_without_it_a_user_is_struck():
    """What the module is for: were this to fail, gevent would have changed, and the module could go."""
    noted = []
    gevent.spawn(send_and_note, noted).join()
    assert noted == ["struck"]


def test_a_handler_that_somebody_else_set_stays():
    seen = []
    signal.signal(signal.SIGINT, lambda *_: seen.append("theirs"))
    interrupt.deliver_to_main_greenlet()
    os.kill(os.getpid(), signal.SIGINT)
    gevent.sleep(0)
    assert seen == ["theirs"]

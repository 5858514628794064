"""The hub is held back only where that costs nothing: many streams, kernel times, and time left in the period."""

from itertools import pairwise

import gevent
import pytest

from tfy_last9.swarm.moderation import MANY, PERIOD_NS, Moderation


class World:
    """A clock that sleeping moves, and so many streams."""

    def __init__(self):
        self.now_ns, self.under_way, self.slept_ns = 10**12, MANY, []

    def sleep(self, seconds):
        self.slept_ns.append(round(seconds * 1e9))
        self.now_ns += self.slept_ns[-1]


@pytest.fixture
def world():
    return World()


@pytest.fixture
def moderation(world):
    made = Moderation(lambda: world.under_way, now_ns=lambda: world.now_ns, sleep=world.sleep)
    yield made
    made.close()


def test_polls_are_a_period_apart_however_long_the_work_between_them_took(world, moderation):
    moderation.before_poll()
    polled_ns = [world.now_ns]
    for worked_ns in (1000, PERIOD_NS // 2, 0, PERIOD_NS - 1):
        world.now_ns += worked_ns
        moderation.before_poll()
        polled_ns.append(world.now_ns)
    assert [b - a for a, b in pairwise(polled_ns)] == [PERIOD_NS] * 4


def test_a_loop_that_is_busy_for_longer_never_sleeps(world, moderation):
    for _ in range(5):
        world.now_ns += PERIOD_NS
        moderation.before_poll()
    assert world.slept_ns == []


def test_few_streams_are_looked_at_at_once(world, moderation):
    world.under_way = MANY - 1
    for _ in range(5):
        moderation.before_poll()
    assert world.slept_ns == []


def test_a_reading_by_the_user_clock_is_never_delayed(world, moderation):
    moderation.is_stamped = False
    for _ in range(5):
        moderation.before_poll()
    assert world.slept_ns == []


def test_the_hub_asks_before_it_polls_until_it_is_closed(world, moderation):
    for _ in range(3):
        gevent.sleep(0.001)
    asked = len(world.slept_ns)
    assert asked > 0
    moderation.close()
    for _ in range(3):
        gevent.sleep(0.001)
    assert len(world.slept_ns) == asked

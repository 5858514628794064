"""One timer paces all streams: nobody is woken early, forgotten, or woken after a hang-up."""

import asyncio
import time

from tfy_last9.standins.providers.pacing import Pacer

MS = 1_000_000


def paced(*waits_ms, then=()):
    """Wait for instants, the later ones asked for first, and give (asked for, woken) in ns."""

    async def one(pacer, due_ns):
        await pacer.wait(due_ns)
        return due_ns, time.monotonic_ns()

    async def run():
        pacer = Pacer(asyncio.get_running_loop())
        now_ns = time.monotonic_ns()
        first = [asyncio.create_task(one(pacer, now_ns + ms * MS)) for ms in waits_ms]
        await asyncio.sleep(0)
        later = [asyncio.create_task(one(pacer, now_ns + ms * MS)) for ms in then]
        return await asyncio.gather(*first, *later)

    return asyncio.run(run())


def test_nobody_is_woken_before_the_instant():
    assert all(woken_ns >= due_ns for due_ns, woken_ns in paced(30, 5, 1, 20))


def test_an_instant_that_is_past_is_waited_for_no_longer_than_a_turn():
    assert len(paced(-5, 0)) == 2


def test_an_earlier_wait_is_not_kept_for_the_later_one_that_was_there_first():
    (_, late), (_, early) = paced(300, then=[5])
    assert early < late


def test_who_hangs_up_is_passed_over():
    async def run():
        pacer = Pacer(asyncio.get_running_loop())
        now_ns = time.monotonic_ns()
        gone = pacer.wait(now_ns + MS)
        gone.cancel()
        await pacer.wait(now_ns + 2 * MS)
        return gone

    assert asyncio.run(run()).cancelled()

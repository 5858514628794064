"""The product's fast driver alone, sending as fast as it can: no schedule, no Locust users, no ledger."""

from __future__ import annotations

import os
import time

import gevent
import locust  # noqa: F401 - patches the standard library, as in a real run

from tfy_last9.arrivals.schedule import Arrival
from tfy_last9.model.request import Outcome
from tfy_last9.model.scenario import Api, Limits, Message, Prompt, Target
from tfy_last9.swarm.call import Answer, Call
from tfy_last9.swarm.stream import StreamDriver
from tfy_last9.wire.scripts import first_request
from tfy_last9.wire.scripts import first_request

CONNECTIONS = 20
LIMITS = Limits(users=CONNECTIONS, connect_s=5, first_token_s=5, idle_s=5, total_s=20)
TARGET = Target("one", "acc/m", "openai", ("openai",), Api.CHAT, True, 1, None, {}, {})
SENT = first_request(TARGET, Prompt((Message("user", "Hello"),)))
CALL = Call(Arrival(0, 0, "steady", 0, 0), "bench.0", TARGET, SENT, {}, "0")


def work(driver: StreamDriver, share: int) -> None:
    """Read streams one after the other."""
    for _ in range(share):
        answer = Answer(started_ns=time.monotonic_ns(), facts=SENT.facts())
        driver.send(CALL, answer)
        assert answer.outcome is Outcome.OK, answer


client = StreamDriver(os.environ["TFY_GATEWAY_URL"], "key", LIMITS)
part = int(os.environ["BENCH_REQUESTS"]) // CONNECTIONS
gevent.joinall([gevent.spawn(work, client, part) for _ in range(CONNECTIONS)], raise_error=True)

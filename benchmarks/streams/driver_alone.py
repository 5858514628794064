"""The product's fast driver alone, sending as fast as it can: no schedule, no Locust users, no ledger."""

from __future__ import annotations

import os
import time
from pathlib import Path

import gevent
import locust  # noqa: F401 - patches the standard library, as in a real run

from tfy_last9.adapters.files.scenario import load_scenario
from tfy_last9.arrivals.schedule import Arrival
from tfy_last9.model.request import Outcome
from tfy_last9.swarm.call import Answer
from tfy_last9.swarm.record import Epoch, Recorder
from tfy_last9.swarm.stream import StreamDriver

CONNECTIONS = 20


def work(driver: StreamDriver, recorder: Recorder, share: int) -> None:
    """Read streams one after the other."""
    for number in range(share):
        call = recorder.call(Arrival(number, 0, "steady", 0, 0))
        answer = Answer(started_ns=time.monotonic_ns(), facts=call.outgoing.facts())
        driver.send(call, answer)
        assert answer.outcome is Outcome.OK, answer


scenario = load_scenario(Path(os.environ["BENCH_SCENARIO"]))
client = StreamDriver(os.environ["TFY_GATEWAY_URL"], "key", scenario.limits)
calls = Recorder(scenario, "bench", 0, Epoch.now())
part = int(os.environ["BENCH_REQUESTS"]) // CONNECTIONS
greenlets = [gevent.spawn(work, client, calls, part) for _ in range(CONNECTIONS)]
gevent.joinall(greenlets, raise_error=True)

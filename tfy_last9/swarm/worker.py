"""The worker's half of the plugin: takes a share of a run from the master and works it off."""

from __future__ import annotations

import gc
import logging
from typing import Any

from gevent.event import Event
from locust.env import Environment
from locust.exception import RPCError, RPCSendError, StopUser
from locust.runners import WorkerRunner

from tfy_last9.adapters.environment import GatewaySettings, arm_gateways, read_environment
from tfy_last9.adapters.files.scenario import scenario_from_json
from tfy_last9.arrivals.schedule import Arrival
from tfy_last9.model.request import LedgerRow
from tfy_last9.model.scenario import Driver as DriverName
from tfy_last9.model.scenario import Limits, Scenario
from tfy_last9.swarm.account import Share
from tfy_last9.swarm.arms import ArmsDriver
from tfy_last9.swarm.call import Driver, Sent, Wish
from tfy_last9.swarm.clocks import ClockSync
from tfy_last9.swarm.firing import Tally, tell_locust
from tfy_last9.swarm.peers import Peer
from tfy_last9.swarm.pool import Ticket, UserPool
from tfy_last9.swarm.record import Epoch
from tfy_last9.swarm.relay import Outbox
from tfy_last9.swarm.session import Session, failed_farewell

_log = logging.getLogger(__name__)
CLOCK_WAIT_S = 2.0
"""How long a start waits for the master's time; without it the worker's own clock is used, and said so."""


class Worker:
    """Lives as long as the process; makes one `Session` per run."""

    def __init__(self, environment: Environment, gateway: GatewaySettings) -> None:
        self._environment = environment
        self._gateway = gateway
        self.pool = UserPool()
        self._session: Session | None = None
        self.left_early = False
        """True once this process was asked to quit in the middle of a run."""
        self._started: Any = Event()
        self._outbox: Outbox | None = None
        self._clock: ClockSync | None = None
        runner: Any = environment.runner
        if isinstance(runner, WorkerRunner):
            runner.register_message("tfy.pong", self._on_pong)
            runner.send_message("tfy.hello", Peer.myself().as_data())
            self._clock = ClockSync(lambda data: self._send("tfy.ping", data))
        runner.register_message("tfy.ack", self._on_ack)
        runner.register_message("tfy.start", self._on_start, concurrent=True)
        runner.register_message("tfy.drain", self._on_drain, concurrent=True)
        events = environment.events
        events.test_start.add_listener(self._on_test_start)
        events.test_stopping.add_listener(self._on_test_stopping)
        events.quitting.add_listener(self._on_quitting)
        if isinstance(runner, WorkerRunner):
            events.test_stop.add_listener(self._on_test_stop)

    def next_arrival(self, ticket: Ticket | None = None) -> Arrival:
        """Wait until a request is due, or may be asked for. Raises `StopUser` when the run is over."""
        return self.pool.wait(ticket)

    def serve(self, arrival: Arrival) -> None:
        """Send one arrival (called by users)."""
        assert self._session is not None
        self._session.serve(arrival)

    def ask(self, target: str, wish: Wish) -> Sent | None:
        """Send what a user wants, now; None when the target was stopped. Raises `StopUser` at the end."""
        self._started.wait()
        session = self._session
        assert session is not None
        assert session.closed is not None, "install() refuses such users in an open run"
        arrival = session.closed.ask(target, wish.turns)
        if arrival is None:
            raise StopUser
        return session.serve(arrival, wish)

    def pause_s(self) -> float:
        """Return how long a user pauses before its next request, seconds."""
        closed = self._session.closed if self._session else None
        return 0.0 if closed is None else closed.pause_s()

    def _on_test_start(self, **_: Any) -> None:
        self.pool.reopen()
        self._started.clear()
        if self._clock is not None:
            self._clock.again()

    def _on_start(self, msg: Any, **_: Any) -> None:
        data = msg.data
        part = Share(data["run_id"], data["worker"], data["workers"], data["start_ns"])
        if self._outbox is not None:
            self._outbox.close()
        level = 1 if isinstance(self._environment.runner, WorkerRunner) else 0
        outbox = self._outbox = Outbox(part.run_id, part.worker, self._post, level)
        try:
            scenario = scenario_from_json(data["scenario"])
            driver = make_arms_driver(scenario, self._gateway)
            epoch = Epoch.by(self._clock, CLOCK_WAIT_S)
            session = Session(
                *(scenario, part, epoch, driver, self.pool, outbox, self._fire, self._clock),
                tally=Tally(self._environment),
            )
            self._session = session
            _freeze_what_exists()
            session.start()
            self._started.set()
        except Exception as error:  # nobody else would notice: Locust only logs it
            outbox.put({"farewell": failed_farewell(part, error)})
            raise

    def _on_pong(self, msg: Any, **_: Any) -> None:
        if self._clock is not None:
            self._clock.answer(msg.data)

    def _on_ack(self, msg: Any, **_: Any) -> None:
        outbox, part = self._outbox, msg.data
        if outbox is not None and outbox.is_addressed(part["run_id"], part["worker"]):
            outbox.acknowledge(part["through"])

    def _on_drain(self, **_: Any) -> None:
        if self._session is not None:
            self._session.drain(self._environment.stop_timeout)

    def _on_test_stopping(self, **_: Any) -> None:
        self._on_drain()

    def _on_test_stop(self, **_: Any) -> None:
        """Be ready for the next run at once: Locust would sleep for the whole stop timeout again.

        Everything is drained by now, and the next run brings a timeout of its own.
        """
        self._environment.stop_timeout = 0.0

    def _on_quitting(self, **_: Any) -> None:
        """Drain before Locust tears down: it would stop the test only after the last report."""
        session = self._session
        if session is not None:
            self.left_early = not session.is_over
            session.drain(self._environment.stop_timeout, left=self.left_early)

    def _post(self, data: dict[str, Any]) -> None:
        runner: Any = self._environment.runner
        if "farewell" in data and isinstance(runner, WorkerRunner):
            # Locust's own last report would come after the master has stopped listening. Private, but
            # the only way; tests/contract holds that it exists.
            runner._send_stats()  # noqa: SLF001 - see above
        runner.send_message("tfy.letter", data)

    def _send(self, kind: str, data: dict[str, Any]) -> None:
        runner: Any = self._environment.runner
        try:
            runner.send_message(kind, data)
        except (RPCError, RPCSendError):  # cut off: the next one will tell
            _log.info("%s was not sent", kind)

    def _fire(self, row: LedgerRow) -> None:
        tell_locust(self._environment, row)


def _freeze_what_exists() -> None:
    """Take what exists by now out of every later garbage collection: a full one would stop streams for 30 ms."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()


def make_arms_driver(scenario: Scenario, gateway: GatewaySettings) -> Driver:
    """Return one driver, or one per arm where arms go to different gateways."""
    if not scenario.sides:
        return make_driver(scenario.driver, gateway, scenario.limits)
    places = arm_gateways(read_environment(), scenario)
    made = {
        place: make_driver(scenario.driver, place, scenario.limits) for place in places.values()
    }
    return ArmsDriver({arm: made[place] for arm, place in places.items()})


def make_driver(name: DriverName, gateway: GatewaySettings, limits: Limits) -> Driver:
    """Return the client a scenario asks for."""
    if name is DriverName.OPENAI:
        from tfy_last9.swarm.sdk import OpenAiDriver  # noqa: PLC0415 - costs 0.5 s that few runs need

        return OpenAiDriver(gateway, limits)
    from tfy_last9.swarm.stream import StreamDriver  # noqa: PLC0415 - the other of the pair

    return StreamDriver(
        gateway.url, gateway.api_key, limits, proxy=gateway.proxy, ca_bundle=gateway.ca_bundle
    )

"""The worker's half of the plugin: takes a share of a run from the master and works it off."""

from __future__ import annotations

from typing import Any

from locust.env import Environment
from locust.runners import WorkerRunner

from tfy_last9.adapters.environment import GatewaySettings, arm_gateways, read_environment
from tfy_last9.adapters.files.scenario import scenario_from_json
from tfy_last9.arrivals.schedule import Arrival
from tfy_last9.model.request import LedgerRow, Outcome
from tfy_last9.model.scenario import Driver as DriverName
from tfy_last9.model.scenario import Limits, Scenario
from tfy_last9.swarm.arms import ArmsDriver
from tfy_last9.swarm.call import Driver
from tfy_last9.swarm.pool import UserPool
from tfy_last9.swarm.session import Session, Share, failed_farewell

_NS_PER_MS = 1_000_000


class Refused(Exception):
    """A request that did not end well; its text is what Locust groups failures by."""


class Worker:
    """Lives as long as the process; makes one `Session` per run."""

    def __init__(self, environment: Environment, gateway: GatewaySettings) -> None:
        self._environment = environment
        self._gateway = gateway
        self.pool = UserPool()
        self._session: Session | None = None
        runner: Any = environment.runner
        runner.register_message("tfy.start", self._on_start, concurrent=True)
        runner.register_message("tfy.drain", self._on_drain, concurrent=True)
        events = environment.events
        events.test_start.add_listener(self._on_test_start)
        events.test_stopping.add_listener(self._on_test_stopping)
        events.quitting.add_listener(self._on_quitting)

    def serve(self, arrival: Arrival) -> None:
        """Send one arrival (called by users)."""
        assert self._session is not None
        self._session.serve(arrival)

    def _on_test_start(self, **_: Any) -> None:
        self.pool.reopen()

    def _on_start(self, msg: Any, **_: Any) -> None:
        data = msg.data
        part = Share(data["run_id"], data["worker"], data["workers"], data["start_ns"])
        try:
            scenario = scenario_from_json(data["scenario"])
            driver = make_arms_driver(scenario, self._gateway)
            self._session = Session(scenario, part, driver, self.pool, self._send, self._fire)
            self._session.start()
        except Exception as error:  # nobody else would notice: Locust only logs it
            self._send("tfy.done", failed_farewell(part, error))
            raise

    def _on_drain(self, **_: Any) -> None:
        if self._session is not None:
            self._session.drain(self._environment.stop_timeout)

    def _on_test_stopping(self, **_: Any) -> None:
        self._on_drain()

    def _on_quitting(self, **_: Any) -> None:
        """Drain before Locust tears down: it would stop the test only after the last report."""
        self._on_drain()

    def _send(self, kind: str, data: dict[str, Any]) -> None:
        runner: Any = self._environment.runner
        if kind == "tfy.done" and isinstance(runner, WorkerRunner):
            # Locust's own last report would come after the master has stopped listening. Private, but
            # the only way; tests/contract holds that it exists.
            runner._send_stats()  # noqa: SLF001 - see above
        runner.send_message(kind, data)

    def _fire(self, row: LedgerRow) -> None:
        """One `request` event per request; time to first token and largest gap as side entries.

        Side entries leave Locust's totals alone.
        """
        if row.finished_ns is None:
            return
        kind = row.api.upper()
        failure = None
        if row.outcome != Outcome.OK:
            failure = Refused(f"{row.outcome}: {row.error_type}")
        elif row.check_failed is not None:
            failure = Refused(f"check failed: {row.check_failed}")
        self._environment.events.request.fire(
            request_type=kind,
            name=_title(row),
            response_time=(row.finished_ns - row.due_ns) / _NS_PER_MS,
            response_length=row.bytes_in or 0,
            exception=failure,
            context={},
        )
        if row.first_token_ns is not None:
            entry = self._environment.stats.get(row.target, "TTFT")
            entry.log((row.first_token_ns - row.due_ns) / _NS_PER_MS, 0)
        if row.max_gap_ns is not None:
            self._environment.stats.get(row.target, "GAP").log(row.max_gap_ns / _NS_PER_MS, 0)


def _title(row: LedgerRow) -> str:
    """Return what Locust groups statistics by: tools of an MCP server are not alike."""
    asked = row.tool or row.operation
    return row.target if asked is None else f"{row.target} {asked}"


def make_arms_driver(scenario: Scenario, gateway: GatewaySettings) -> Driver:
    """Return one driver, or one per arm where arms go to different gateways."""
    if scenario.arms is None:
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

"""The master's half of the plugin: starts the run, collects what workers send, ends it without loss.

In a local run master and worker are the same process and the messages are emulated by Locust's runner.

Rows come as numbered letters (`letters.py`), acknowledged when they are on disk. The last letter of a
worker is its farewell: once all up to it are stored, nothing is under way. On an early end the master asks
for it (`tfy.drain`) before Locust tears anything down: Locust's own way of quitting drops what finishes
while draining (locustio/locust issues 1426, 1936, 3010).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import gevent
from locust import runners
from locust.env import Environment
from locust.runners import MasterRunner

from tfy_last9.adapters.files.scenario import scenario_to_json
from tfy_last9.errors import TfyError
from tfy_last9.model.scenario import Scenario
from tfy_last9.model.turns import longest_session_s
from tfy_last9.swarm.peers import LOST_AFTER_S, Peer, host_of
from tfy_last9.swarm.run import Run

LEAD_NS = 500_000_000
"""Between the start message and schedule zero: time for every worker to set up."""
DRAIN_SLACK_S = LOST_AFTER_S + 5.0
SUPERVISE_S = 0.05
LIVENESS_S = LOST_AFTER_S + 5.0
"""A run may exceed its schedule and time-outs by this much before it is ended by force."""
_log = logging.getLogger(__name__)


class Master:
    """Listens to Locust's events and to the workers' messages."""

    def __init__(
        self,
        environment: Environment,
        open_run: Callable[[], Run],
        on_end: Callable[[Run], None],
    ) -> None:
        self._environment = environment
        self._open_run = open_run
        self._on_end = on_end
        self.run: Run | None = None
        self._peers: dict[str, Peer] = {}
        runner: Any = environment.runner
        if isinstance(runner, MasterRunner):
            runners.HEARTBEAT_LIVENESS = LOST_AFTER_S  # in heartbeats, one a second
        runner.register_message("tfy.hello", self._on_hello)
        runner.register_message("tfy.ping", self._on_ping)
        runner.register_message("tfy.letter", self._on_letter)
        events = environment.events
        events.quitting.add_listener(self._on_quitting)
        events.test_start.add_listener(self._on_test_start)
        events.spawning_complete.add_listener(self._on_spawning_complete)
        events.test_stopping.add_listener(self._on_test_stopping)
        events.test_stop.add_listener(self._on_test_stop)

    def end_early(self) -> None:
        """Stop a test that still runs when the process quits.

        In a local run Locust itself would do so only after the exit code is fixed.
        """
        runner: Any = self._environment.runner
        if self.run is not None and not self.run.closed:
            runner.stop()

    def _on_quitting(self, **_: Any) -> None:
        if self.run is not None and not self.run.closed:
            self.run.interrupted = True

    def _on_test_start(self, **_: Any) -> None:
        self.run = None
        try:
            self.run = self._open_run()
        except (TfyError, OSError):  # Locust would only log it, and wait for ever
            _log.exception("the run could not be opened")
            gevent.spawn(self._end)

    def _on_spawning_complete(self, **_: Any) -> None:
        run = self.run
        if run is None or run.start_ns is not None:
            return
        run.start_ns = time.time_ns() + LEAD_NS
        clients = self._clients()
        run.indices = {client: number for number, client in enumerate(clients)}
        run.problems += self._strangers(clients)
        message = {
            "run_id": run.run_id,
            "scenario": scenario_to_json(run.scenario),
            "workers": len(clients),
            "start_ns": run.start_ns,
        }
        runner: Any = self._environment.runner
        for client, index in run.indices.items():
            runner.send_message("tfy.start", message | {"worker": index}, client)
        gevent.spawn(self._supervise, run)

    def _clients(self) -> list[str]:
        runner: Any = self._environment.runner
        if not isinstance(runner, MasterRunner):
            return [runner.client_id]
        taking_part = runner.clients.running + runner.clients.spawning + runner.clients.ready
        return sorted((node.id for node in taking_part), key=runner.get_worker_index)

    def _strangers(self, clients: list[str]) -> list[str]:
        """Name the workers that run another version: their rows may mean something else."""
        mine = version("tfy-last9")
        known = [(client, self._peers.get(client)) for client in clients]
        return [
            f"the worker on {host_of(client)} runs tfy-last9 {peer.version}, the master {mine}:"
            " install the same version on both"
            for client, peer in known
            if peer is not None and peer.version != mine
        ]

    def _is_alive(self, client: str) -> bool:
        runner: Any = self._environment.runner
        if not isinstance(runner, MasterRunner):
            return True
        node = runner.clients.get(client)
        peer = self._peers.get(client)
        gone = peer is not None and peer.is_gone
        return node is not None and node.state != "missing" and not gone

    def _on_hello(self, msg: Any, **_: Any) -> None:
        self._peers[msg.node_id] = Peer.read(msg.data)

    def _on_ping(self, msg: Any, **_: Any) -> None:
        self._answer("tfy.pong", msg, msg.data | {"utc_ns": time.time_ns()})

    def _on_letter(self, msg: Any, **_: Any) -> None:
        run = self._addressed(msg)
        if run is not None and self._is_its_own(run, msg):
            address = {"run_id": run.run_id, "worker": msg.data["worker"]}
            run.take(
                msg.data,
                lambda through: self._answer("tfy.ack", msg, address | {"through": through}),
            )

    def _is_its_own(self, run: Run, msg: Any) -> bool:
        """Tell whether a letter names the share its sender was given: the port is open to whoever reaches it."""
        runner: Any = self._environment.runner
        if not isinstance(runner, MasterRunner):
            return True
        return run.indices.get(msg.node_id) == msg.data["worker"]

    def _answer(self, kind: str, msg: Any, data: dict[str, Any]) -> None:
        runner: Any = self._environment.runner
        runner.send_message(kind, data, msg.node_id)

    def _addressed(self, msg: Any) -> Run | None:
        """Return the run a message is about, if it is still open: a restarted test has another."""
        run = self.run
        return run if run and not run.closed and msg.data["run_id"] == run.run_id else None

    def _end(self) -> None:
        """End the Locust test: the process in headless mode, the test only under the web UI."""
        runner: Any = self._environment.runner
        options: Any = self._environment.parsed_options
        if options is not None and options.headless:
            runner.quit()
        elif not self._is_stopping():
            runner.stop()

    def _supervise(self, run: Run) -> None:
        """End the run when every worker has said goodbye or is gone, at the latest when all is surely over.

        Locust itself would wait for ever on the users of a worker that was killed.
        """
        limit_s = LEAD_NS / 1e9 + run.scenario.duration_s + _tail_s(run.scenario) + LIVENESS_S
        until = time.monotonic() + limit_s
        while not run.closed and run.missing(self._is_alive) and time.monotonic() < until:
            gevent.sleep(SUPERVISE_S)
        while not run.closed and self._is_stopping():
            gevent.sleep(SUPERVISE_S)  # quitting now would cut off whoever is stopping the test
        if self.run is run and not run.interrupted:
            self._end()

    def _is_stopping(self) -> bool:
        runner: Any = self._environment.runner
        return runner.state in {"stopping", "stopped", "cleanup"}

    def _on_test_stopping(self, **_: Any) -> None:
        run = self.run
        if run is None or run.closed or run.start_ns is None:
            return
        runner: Any = self._environment.runner
        if isinstance(runner, MasterRunner):
            if run.missing(self._is_alive):
                runner.send_message("tfy.drain", {})
            until = time.monotonic() + self._environment.stop_timeout + DRAIN_SLACK_S
            while run.missing(self._is_alive) and time.monotonic() < until:
                gevent.sleep(0.05)

    def _on_test_stop(self, **_: Any) -> None:
        run = self.run
        if run is None or run.closed:
            return
        run.close()
        self._on_end(run)


def _tail_s(scenario: Scenario) -> float:
    """Return how long answers may take that were asked for at the very end of the schedule."""
    return scenario.limits.total_s + longest_session_s(scenario)

"""The master's half of the plugin: starts the run, collects what workers send, ends it without loss.

In a local run master and worker are the same process and the messages are emulated by Locust's runner.

End of a run: a worker that has worked off its share ships its last rows, then says `tfy.done`; both
travel on one ordered connection, so `done` is the proof that nothing is under way. On an early end the
master asks for it (`tfy.drain`) before Locust tears anything down: Locust's own way of quitting drops
what finishes while draining (locustio/locust issues 1426, 1936, 3010).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import gevent
import locust
from locust.env import Environment
from locust.runners import MasterRunner

from tfy_last9.adapters.files.scenario import scenario_to_json
from tfy_last9.adapters.runfolder.folder import RunFolder
from tfy_last9.arrivals.schedule import planned
from tfy_last9.model.scenario import Scenario
from tfy_last9.model.turns import longest_session_s
from tfy_last9.swarm.spool import Spool

LEAD_NS = 500_000_000
"""Between the start message and schedule zero: time for every worker to set up."""
DRAIN_SLACK_S = 15.0
SUPERVISE_S = 0.05
LIVENESS_S = 10.0
"""A run may exceed its schedule and time-outs by this much before it is ended by force."""


@dataclass(slots=True)
class Progress:
    """What the load looks like so far; written each second for whoever watches the run."""

    offered: dict[int, int] = field(default_factory=dict)
    errors: dict[int, int] = field(default_factory=dict)
    samples: dict[int, dict[str, Any]] = field(default_factory=dict)
    targets: dict[str, dict[str, Any]] = field(default_factory=dict)

    def take(self, data: dict[str, Any]) -> None:
        """Take one health message."""
        worker = data["sample"]["worker"]
        self.samples[worker] = data["sample"]
        self.offered[worker] = data["offered"]
        self.errors[worker] = data["errors"]
        for name, news in data["targets"].items():
            known = self.targets.setdefault(name, {"finished": 0, "errors": 0, "ttft_p95_ns": None})
            known["finished"] += news["finished"]
            known["errors"] += news["errors"]
            known["ttft_p95_ns"] = news["ttft_p95_ns"] or known["ttft_p95_ns"]

    def document(self) -> dict[str, Any]:
        """Return the totals over workers."""

        def total(key: str) -> int:
            return sum(sample[key] for sample in self.samples.values())

        return {
            "t_ns": time.time_ns(),
            "offered": sum(self.offered.values()),
            "errors": sum(self.errors.values()),
            "started": total("started"),
            "missed": total("missed"),
            "finished": total("finished"),
            "in_flight": total("in_flight"),
            "targets": self.targets,
        }


class Run:
    """One run as the master sees it: who takes part, what came in, who said goodbye."""

    def __init__(self, folder: RunFolder, scenario: Scenario, run_id: str) -> None:
        self.folder = folder
        self.scenario = scenario
        self.run_id = run_id
        self.spool = Spool(folder.work_path)
        self.progress = Progress()
        self.start_ns: int | None = None
        self.indices: dict[str, int] = {}
        """Client id to worker index of those who took part."""
        self.farewells: dict[int, dict[str, Any]] = {}
        self.interrupted = False
        """True once a signal asked the whole process to quit while the run was on."""
        self.closed = False

    def missing(self, alive: Callable[[str], bool]) -> list[str]:
        """Return the clients that are alive and have not said goodbye."""
        return [
            client
            for client, index in self.indices.items()
            if index not in self.farewells and alive(client)
        ]

    def close(self) -> None:
        """Write `swarm.json`. Idempotent."""
        if self.closed:
            return
        self.closed = True
        self.spool.close()
        self.spool.replace("swarm.json", self._report())

    def _report(self) -> dict[str, Any]:
        exhausted = self._exhausted()
        offered = (
            planned(self.scenario).total()
            if exhausted
            else sum(farewell["offered"] for farewell in self.farewells.values())
        )
        problems = [
            farewell["problem"] for farewell in self.farewells.values() if "problem" in farewell
        ]
        if self.spool.failure is not None:
            problems.append(f"a file of the run could not be written: {self.spool.failure}")
        return {
            "workers": [self._worker(index) for index in sorted(self.indices.values())],
            "expected_workers": len(self.indices),
            "offered": offered,
            "start_ns": self.start_ns,
            "ended": "schedule" if exhausted else "interrupted" if self.interrupted else "stopped",
            "stopped_targets": self._stopped_targets(),
            "problems": problems,
            "locust": locust.__version__,
        }

    def _exhausted(self) -> bool:
        """Tell whether the schedule ran to its end on every worker that lived to say so."""
        return bool(self.farewells) and all(
            farewell["exhausted"] for farewell in self.farewells.values()
        )

    def _worker(self, index: int) -> dict[str, Any]:
        farewell = self.farewells.get(index)
        if farewell is None:
            return {"worker": index, "epoch_ns": 0, "rows": 0, "drained": False}
        known = {name: farewell[name] for name in ("worker", "epoch_ns", "rows")}
        return known | {"drained": True}

    def _stopped_targets(self) -> list[dict[str, Any]]:
        merged: dict[str, dict[str, Any]] = {}
        for farewell in self.farewells.values():
            for stop in farewell["stopped"]:
                if stop["target"] in merged:
                    merged[stop["target"]]["skipped"] += stop["skipped"]
                else:
                    merged[stop["target"]] = dict(stop)
        return [merged[name] for name in sorted(merged)]


class Master:
    """Listens to Locust's events and to the workers' messages."""

    def __init__(
        self,
        environment: Environment,
        open_run: Callable[[], tuple[RunFolder, Scenario, str]],
        on_end: Callable[[Run], None],
    ) -> None:
        self._environment = environment
        self._open_run = open_run
        self._on_end = on_end
        self.run: Run | None = None
        runner: Any = environment.runner
        runner.register_message("tfy.rows", self._on_rows)
        runner.register_message("tfy.health", self._on_health)
        runner.register_message("tfy.done", self._on_done)
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
        self.run = Run(*self._open_run())

    def _on_spawning_complete(self, **_: Any) -> None:
        run = self.run
        if run is None or run.start_ns is not None:
            return
        run.start_ns = time.time_ns() + LEAD_NS
        clients = self._clients()
        run.indices = {client: number for number, client in enumerate(clients)}
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

    def _is_alive(self, client: str) -> bool:
        runner: Any = self._environment.runner
        if not isinstance(runner, MasterRunner):
            return True
        node = runner.clients.get(client)
        return node is not None and node.state != "missing"

    def _on_rows(self, msg: Any, **_: Any) -> None:
        if (run := self._addressed(msg)) is not None:
            run.spool.rows(msg.data["worker"], msg.data["rows"])

    def _on_health(self, msg: Any, **_: Any) -> None:
        run = self._addressed(msg)
        if run is None:
            return
        sample = msg.data["sample"]
        run.spool.health(sample["worker"], sample)
        run.progress.take(msg.data)
        run.spool.replace("progress.json", run.progress.document())

    def _on_done(self, msg: Any, **_: Any) -> None:
        if (run := self._addressed(msg)) is not None:
            run.farewells[msg.data["worker"]] = msg.data

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

"""One run as the master sees it: who takes part, what came in, who said goodbye."""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Callable
from itertools import islice
from typing import Any

import gevent
import locust
import orjson

from tfy_last9.adapters.runfolder.folder import RunFolder
from tfy_last9.arrivals.schedule import planned
from tfy_last9.model.scenario import Scenario
from tfy_last9.progress.live_run import LiveRun
from tfy_last9.swarm.letters import Inbox
from tfy_last9.swarm.peers import host_of
from tfy_last9.swarm.spending import budget_stop, total_spending
from tfy_last9.swarm.spool import Spool
from tfy_last9.swarm.totals import Progress

ROWS_AT_A_TIME = 50


def _show(live: LiveRun, packed_rows: bytes) -> None:
    """Give rows to whoever watches, a few at a time: a local run sends from the same loop."""
    rows = map(orjson.loads, zlib.decompress(packed_rows).splitlines())
    while few := list(islice(rows, ROWS_AT_A_TIME)):
        live.take(few)
        gevent.sleep(0)


class Run:
    """Everything the master knows of one run."""

    def __init__(
        self, folder: RunFolder, scenario: Scenario, run_id: str, live: LiveRun | None = None
    ) -> None:
        self.folder = folder
        self.scenario = scenario
        self.run_id = run_id
        self.spool = Spool(folder.work_path)
        self.progress = Progress()
        self.live = live
        """Numbers for whoever watches; None where nobody does, or a newer run took their place."""
        self.start_ns: int | None = None
        self.indices: dict[str, int] = {}
        """Client id to worker index of those who take part."""
        self.inboxes: dict[int, Inbox] = defaultdict(Inbox)
        self.farewells: dict[int, dict[str, Any]] = {}
        self.problems: list[str] = []
        """What went wrong before the first request, in words."""
        self.interrupted = False
        """True once a signal asked the whole process to quit while the run was on."""
        self.closed = False

    def take(self, data: dict[str, Any], acknowledge: Callable[[int], None]) -> None:
        """Keep a letter; `acknowledge` is called with the number up to which all are on disk."""
        worker, number, inbox = data["worker"], data["number"], self.inboxes[data["worker"]]
        if not inbox.take(number):
            acknowledge(inbox.through)
            return
        news = data.get("news")

        def then(kept: bool) -> None:  # noqa: FBT001 - a callback
            if not kept:
                inbox.failed(number)
                return
            inbox.stored(number)
            if "farewell" in data:
                self.farewells[worker] = data["farewell"]
                inbox.last = number
            acknowledge(inbox.through)

        rows = data.get("rows", b"")
        self.spool.letter(worker, rows, news and news["sample"], then)
        if rows and self.live is not None:
            gevent.spawn(_show, self.live, rows)
        if news is not None:
            self.progress.take(news)
            document = self.progress.document() | {"start_ns": self.start_ns}
            self.spool.document("progress.json", document)
            if self.live is not None:
                self.live.sample(document)

    def is_complete(self, worker: int) -> bool:
        """Tell whether a worker said goodbye and everything it ever sent is on disk."""
        return worker in self.farewells and self.inboxes[worker].is_complete

    def missing(self, alive: Callable[[str], bool]) -> list[str]:
        """Return the clients that are alive and have not handed over everything."""
        return [
            client
            for client, index in self.indices.items()
            if not self.is_complete(index) and alive(client)
        ]

    def close(self) -> None:
        """Write `swarm.json`. Idempotent."""
        if not self.closed:
            self.closed = True
            self.spool.close("swarm.json", self._report)

    def _report(self) -> dict[str, Any]:
        exhausted = self._exhausted()
        ended = "schedule" if exhausted else "interrupted" if self.interrupted else "stopped"
        workers = [self._worker(*item) for item in sorted(self.indices.items(), key=_by_index)]
        offered = sum(worker["offered"] for worker in workers)
        if exhausted and not all(worker["drained"] for worker in workers):
            offered = planned(self.scenario).total() or offered
        told = (said.get("spending") for said in self.farewells.values())
        spending = total_spending(one for one in told if one is not None)
        problems = [*self.problems]
        problems += [said["problem"] for said in self.farewells.values() if "problem" in said]
        if not self.interrupted:
            problems += [
                f"worker {index} on {host_of(client)} left in the middle of the run"
                for client, index in self.indices.items()
                if self.farewells.get(index, {}).get("left")
            ]
        if self.spool.failure is not None:
            problems.append(f"a file of the run could not be written: {self.spool.failure}")
        return {
            "workers": workers,
            "expected_workers": len(self.indices),
            "offered": offered,
            "start_ns": self.start_ns,
            "spending": spending,
            "early_stop": budget_stop(self.scenario, spending, offered),
            "ended": ended,
            "stopped_targets": self._stopped_targets(),
            "problems": problems,
            "locust": locust.__version__,
        }

    def _exhausted(self) -> bool:
        """Tell whether the schedule ran to its end on every worker that lived to say so."""
        return bool(self.farewells) and all(said["exhausted"] for said in self.farewells.values())

    def _worker(self, client: str, index: int) -> dict[str, Any]:
        said = self.farewells.get(index, {})
        known = {name: said.get(name, 0) for name in ("epoch_ns", "rows", "resent")}
        clock = {name: said.get(name) for name in CLOCK_FACTS}
        return (
            {"worker": index, "host": host_of(client), "drained": self.is_complete(index)}
            | known
            | clock
            | {
                "offered": said.get("offered", self.progress.offered.get(index, 0)),
                "gaps": self.inboxes[index].gaps,
            }
        )

    def _stopped_targets(self) -> list[dict[str, Any]]:
        merged: dict[str, dict[str, Any]] = {}
        for farewell in self.farewells.values():
            for stop in farewell["stopped"]:
                if stop["target"] in merged:
                    merged[stop["target"]]["skipped"] += stop["skipped"]
                else:
                    merged[stop["target"]] = dict(stop)
        return [merged[name] for name in sorted(merged)]


CLOCK_FACTS = ("clock_offset_ns", "clock_uncertainty_ns", "clock_drift_ns")


def _by_index(item: tuple[str, int]) -> int:
    return item[1]

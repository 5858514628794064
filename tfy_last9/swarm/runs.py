"""The runs of one Locust process: each is opened when a test starts, and judged when it ends."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import orjson

from tfy_last9.adapters.bringing import brought, is_far
from tfy_last9.adapters.compared import PLACE, Compared, found_baseline, wanted_by
from tfy_last9.adapters.environment import arm_gateways
from tfy_last9.adapters.files.openslo import load_objectives
from tfy_last9.adapters.files.scenario import load_scenario
from tfy_last9.adapters.opening import RunRequest, open_run
from tfy_last9.adapters.runfolder.folder import RunFolder
from tfy_last9.model.objective import Objective
from tfy_last9.model.scenario import Scenario
from tfy_last9.progress.live_run import LiveRun
from tfy_last9.swarm.choices import Choice
from tfy_last9.swarm.judging import Judging
from tfy_last9.swarm.run import Run

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Entry:
    """One run of this process."""

    run: Run
    slo: str
    judging: Judging | None = None
    """None while the load runs, and for runs that the gate judges."""


class Runs:
    """Opens runs and has them judged, on the master or in a local run."""

    def __init__(
        self, environment: Any, gateway_url: str, settings: dict[str, str], given: RunFolder | None
    ) -> None:
        self._environment = environment
        self._gateway_url = gateway_url
        self._settings = settings
        self._given = given
        self._out = Path(settings.get("TFY_OUT", "runs"))
        self.watched = False
        """True with a web UI: then numbers are kept for whoever looks."""
        self.choose: Callable[[], Choice] | None = None
        """Which scenario and SLO set the next run is made of; None where the gate gave a run."""
        self.entries: dict[str, Entry] = {}
        self._sets_stop_timeout = False
        self._joined: set[str] = set()

    @property
    def newest(self) -> Entry | None:
        """Return the run that goes on, or that ended last."""
        return next(reversed(self.entries.values()), None)

    def allow_stop_timeout(self, scenario: Scenario) -> None:
        """Let scenarios say how long the end of a test waits: nobody gave `--stop-timeout`."""
        self._sets_stop_timeout = True
        self._environment.stop_timeout = scenario.limits.total_s + 1

    def check(self, choice: Choice) -> None:
        """Look whether a run could be made. Raises `TfyError` for whatever would stop it."""
        with self._compared(choice, self._read(choice)):
            pass

    def _read(self, choice: Choice) -> Scenario:
        scenario = load_scenario(choice.scenario)
        load_objectives(choice.slo)
        arm_gateways(self._settings, scenario)
        return scenario

    @contextmanager
    def _compared(self, choice: Choice, scenario: Scenario) -> Iterator[Compared | None]:
        """Look for the run to compare with, where `gate` would."""
        place = self._settings.get(PLACE) or str(self._out)
        if choice.baseline is None or not is_far(choice.baseline, place):
            wanted = wanted_by(scenario, sandbox=False, client_only=False)
            with found_baseline(choice.baseline, place, scenario, wanted, _log.info) as found:
                yield found
            return
        with TemporaryDirectory(prefix="tfy-last9-baseline-") as into:
            yield brought(choice.scenario, choice.baseline, place, Path(into))

    def open(self) -> Run:
        """Return a run: the gate's, or a new one."""
        objectives: tuple[Objective, ...] = ()
        if self._given is not None:
            folder = self._given
            scenario, slo = folder.read_manifest().scenario, Path("slo")
        else:
            folder, objectives, scenario, slo = self._opened()
        _log.info("run folder: %s", folder.path)
        if self._sets_stop_timeout:  # workers learn of it with the message that spawns users
            self.allow_stop_timeout(scenario)
        if self.newest is not None:
            self.newest.run.live = None  # eight bytes a number, for every request
        live = LiveRun(scenario, objectives) if self.watched else None
        run = Run(folder, scenario, folder.read_manifest().run_id, live)
        self.entries[run.run_id] = Entry(run, str(slo))
        return run

    def _opened(self) -> tuple[RunFolder, tuple[Objective, ...], Scenario, Path]:
        assert self.choose is not None
        choice = self.choose()
        scenario = self._read(choice)
        request = RunRequest(
            scenario=scenario,
            slo=choice.slo,
            out=self._out,
            gateway_url=self._gateway_url,
            workers=max(1, len(getattr(self._environment.runner, "clients", ()))),
        )
        with self._compared(choice, scenario) as compared:
            folder, objectives = open_run(request, time.time_ns())
            if compared is not None:
                compared.attach(folder)
        return folder, objectives, scenario, choice.slo

    def on_end(self, run: Run) -> None:
        """Have a run judged in the background."""
        if self._given is None:
            judging = Judging(run.folder)
            self.entries[run.run_id].judging = judging
            judging.start()

    def on_worker_connect(self, client_id: str, **_: Any) -> None:
        """Tell the gate how many workers have joined."""
        if self._given is not None:
            self._joined.add(client_id)
            document = orjson.dumps({"joined": len(self._joined)})
            (self._given.work_path / "joined.json").write_bytes(document)

    def settle(self) -> int | None:
        """Wait for every verdict; return the exit code of the last run, None when there was none."""
        code = None
        for entry in self.entries.values():
            code = None if entry.judging is None else entry.judging.wait()
        return code

"""Fetch spans while load runs, so that what Last9 shows can end it too (`early-stop`).

A thread of its own: a slow answer must not hold up the watch over the load. What the looks cost is bounded like
that of the looks at roots; the collection after the load reads everything again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from tfy_last9.adapters.clock import StoppableClock
from tfy_last9.adapters.last9.client import Last9Client
from tfy_last9.adapters.last9.settings import Last9Settings
from tfy_last9.adapters.last9.source import Last9Source
from tfy_last9.adapters.runfolder.asked import attribute_names
from tfy_last9.adapters.runfolder.folder import RunFolder
from tfy_last9.adapters.runfolder.settled import Settled, SettledBook
from tfy_last9.cli.watching import PATIENCE_S, affordable_bytes_per_s
from tfy_last9.errors import Stopped
from tfy_last9.judge.early import can_be_bet_on_traces
from tfy_last9.model.objective import Objective
from tfy_last9.model.run import Manifest, Window

LOOK_EVERY_S = 2.0
REST = 3
"""Pause after a look, as a multiple of what the look took: the load has the machine first."""
_STEP_S = 0.2


def are_wanted(manifest: Manifest, objectives: Sequence[Objective]) -> bool:
    """Tell whether spans could end the load."""
    return manifest.scenario.policy.early_stop and any(map(can_be_bet_on_traces, objectives))


class TraceLooks:
    """Looks in the background; `found` is the newest answer."""

    def __init__(
        self,
        client: Last9Client,
        settings: Last9Settings,
        folder: RunFolder,
        objectives: Sequence[Objective],
        pad_ns: int,
    ) -> None:
        self.found: Settled | None = None
        self._clock = StoppableClock()
        labels = attribute_names(objectives, folder.read_manifest().scenario.arms)
        self._source = Last9Source(client.with_clock(self._clock), settings, self._clock, labels)
        self._folder = folder
        self._manifest = folder.read_manifest()
        self._objectives = tuple(objectives)
        self._bytes_per_s = affordable_bytes_per_s(settings, self._manifest.scenario)
        self._start_ns = self._clock.now_ns() - pad_ns
        self._failures: dict[str, None] = {}
        self._failed = self._looks = 0
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def stop(self) -> tuple[str, ...]:
        """End the looks; return what went wrong with them, in words."""
        self._clock.stop()
        self._thread.join(timeout=PATIENCE_S)
        if not self._failed:
            return ()
        reasons = "; ".join(self._failures)
        return (
            (
                f"{self._failed} of {self._looks} looks at spans while load ran failed, so that they"
                f" could end it later or not at all: {reasons}"
            ),
        )

    def _watch(self) -> None:
        with SettledBook(self._folder, self._manifest, self._objectives) as book:
            while not self._clock.is_stopped:
                began, before = time.monotonic(), self._source.counters.bytes
                try:
                    self._look(book)
                except Stopped:
                    return
                except Exception as error:  # noqa: BLE001 - a look must not end the run; it is told instead
                    self._failed += 1
                    self._failures[f"{type(error).__name__}: {error}"] = None
                self._looks += 1
                paid_off_s = (self._source.counters.bytes - before) / self._bytes_per_s
                self._rest(max(LOOK_EVERY_S, REST * (time.monotonic() - began), paid_off_s))

    def _look(self, book: SettledBook) -> None:
        left = book.outstanding()
        if left is None:
            return
        now_ns = self._clock.now_ns()
        if left.complete < left.expected:
            window = Window(self._start_ns, now_ns + 1)
            for page in self._source.again(self._manifest.run_id, window, left):
                book.add(page)
        self.found = book.read(now_ns)

    def _rest(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not self._clock.is_stopped and time.monotonic() < until:
            time.sleep(_STEP_S)

"""Change events in Last9: when a run started and how it ended. Opt-in, and never a reason to fail.

A load test moves every chart of a service; a marker says why. Needs a refresh token with write scope
(`LAST9_CHANGE_EVENTS=1`).
"""

from __future__ import annotations

from tfy_last9.adapters.clock import SystemClock
from tfy_last9.adapters.last9.calls import Retry
from tfy_last9.adapters.last9.catalogue import announce
from tfy_last9.adapters.last9.client import Last9Client
from tfy_last9.adapters.last9.settings import Last9Settings
from tfy_last9.adapters.runfolder.folder import RunFolder
from tfy_last9.cli.console import Console
from tfy_last9.errors import BrokenRun, TfyError
from tfy_last9.reports import verdict_json

EVENT = "load_test"
_RETRY = Retry(attempts=3, first_s=0.5, cap_s=2.0, total_s=5.0)
"""A marker is not worth waiting for."""


class Markers:
    """Writes the two events of one run, if they are wanted."""

    def __init__(self, folder: RunFolder, settings: Last9Settings | None, console: Console) -> None:
        self._folder = folder
        self._settings = settings if settings is not None and settings.change_events else None
        self._console = console

    def started(self) -> None:
        """Say that load begins."""
        self._write("start", {})

    def ended(self) -> None:
        """Say that the run is over, and its verdict."""
        self._write("stop", self._verdict())

    def _verdict(self) -> dict[str, str]:
        try:
            verdict = verdict_json.parse(self._folder.verdict_path.read_text(encoding="utf-8"))
        except (OSError, BrokenRun):
            return {"verdict": "none"}
        return {"verdict": verdict.state.value, "reason_code": verdict.reason_code}

    def _write(self, state: str, more: dict[str, str]) -> None:
        if self._settings is None:
            return
        manifest, clock = self._folder.read_manifest(), SystemClock()
        service = self._settings.service
        named = {
            # The docs name the one, stored labels the other.
            "service": service,
            "service_name": service,
            "run_id": manifest.run_id,
            "scenario": manifest.scenario.name,
        }
        try:
            with Last9Client(self._settings, clock, retry=_RETRY) as client:
                announce(client, EVENT, state, clock.now_ns(), named | more)
        except TfyError as error:
            self._console.say(f"warning: no change event ({state}) in Last9: {error.message}")
            if error.hint:
                self._console.say(f"         {error.hint}")

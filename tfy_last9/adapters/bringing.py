"""Find a baseline in a process of its own: storage libraries run an event loop, which gevent's patches break.

Run as `python -m tfy_last9.adapters.bringing SCENARIO ASKED PLACE INTO`; one JSON document on standard output.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tfy_last9.adapters.compared import Compared, found_baseline, place_of, wanted_by
from tfy_last9.adapters.files.scenario import load_scenario
from tfy_last9.adapters.runfolder.folder import RunFolder
from tfy_last9.adapters.shelves import LEDGER
from tfy_last9.errors import BackendUnavailable, ConfigurationError, TfyError
from tfy_last9.model.run import Baseline


def is_far(asked: str, place: str) -> bool:
    """Tell whether a baseline is to be looked for beyond this machine's own folders."""
    return "://" in place_of(asked, place)[0]


def brought(scenario: Path, asked: str, place: str, into: Path) -> Compared:
    """Have a child find a baseline and copy what comparing needs. Raises as `found_baseline` does."""
    command = [sys.executable, "-m", __name__, str(scenario), asked, place, str(into)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own interpreter and module
    try:
        told: dict[str, Any] = json.loads(ended.stdout)
    except ValueError:
        words = ended.stderr.strip().splitlines()[-1:] or [f"exit code {ended.returncode}"]
        raise BackendUnavailable(f"{asked} could not be looked for: {words[0]}") from None
    if "message" in told:
        kind = BackendUnavailable if told["unavailable"] else ConfigurationError
        raise kind(told["message"], hint=told["hint"])
    facts = Baseline(**told)
    return Compared(facts, None if facts.run_id is None else RunFolder(into))


def _bring(scenario_path: Path, asked: str, place: str, into: Path) -> dict[str, Any]:
    scenario = load_scenario(scenario_path)
    wanted = wanted_by(scenario, sandbox=False, client_only=False)
    try:
        with found_baseline(asked, place, scenario, wanted, lambda _: None) as found:
            assert found is not None  # `asked` is never None here
            if found.run is not None:
                for name in LEDGER:
                    shutil.copyfile(found.run.path / name, into / name)
            return asdict(found.facts)
    except TfyError as error:
        is_away = isinstance(error, BackendUnavailable)
        return {"message": error.message, "hint": error.hint, "unavailable": is_away}


def main(arguments: list[str]) -> None:
    """Do what the parent asks, and tell it."""
    scenario, asked, place, into = arguments
    sys.stdout.write(json.dumps(_bring(Path(scenario), asked, place, Path(into))))


if __name__ == "__main__":
    main(sys.argv[1:])

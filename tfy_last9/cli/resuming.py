"""`gate --run-id ID`: a restarted job finds its run and finishes it instead of paying for it twice.

Load that was sent is never sent again. A run that broke off is judged for what it is, ERROR, and only a
new id sends anew.
"""

from __future__ import annotations

import re
import time
from pathlib import Path

from tfy_last9.adapters.environment import read_environment
from tfy_last9.adapters.files.digests import scenario_digest, slo_digest
from tfy_last9.adapters.files.openslo import load_objectives
from tfy_last9.adapters.last9.settings import from_environment
from tfy_last9.adapters.otlp.settings import otlp_settings
from tfy_last9.adapters.runfolder.folder import RunFolder
from tfy_last9.adapters.runfolder.seal import seal
from tfy_last9.cli.console import Console
from tfy_last9.cli.exporting import export_after
from tfy_last9.cli.judging import complete, conclude
from tfy_last9.cli.publishing import GitHub
from tfy_last9.errors import BrokenRun, ConfigurationError, ExitCode
from tfy_last9.model.run import Manifest
from tfy_last9.model.scenario import Scenario

STILL_S = 15.0
"""A load process writes its progress every second; after so long without, it is gone."""
SENT = ("schedule", "unsettled")
"""How a load ends that sent all it should; an unsettled one was stopped while its traces arrived."""
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def checked_run_id(text: str) -> str:
    """Return the id if it can name a folder and a metadata value; raise `ConfigurationError` else."""
    if not _ID.fullmatch(text):
        raise ConfigurationError(
            f"--run-id {text!r}: expected up to 100 letters, digits, dots, dashes or underscores,"
            " starting with a letter or digit",
            hint="for example --run-id release-1.4.2-attempt-1",
        )
    return text


def resume(
    folder: RunFolder,
    scenario: Scenario,
    slo: Path,
    console: Console,
    *,
    as_json: bool,
    github: GitHub | None,
    export: bool | None = None,
) -> int:
    """Finish a run that exists and return its exit code, without sending a request.

    `export`: send its own spans as well, unless it was judged before.
    """
    manifest = folder.read_manifest()
    _check_same(manifest, scenario, slo)
    _check_idle(folder)
    manifest = seal(folder)
    objectives = load_objectives(folder.slo_path)
    if manifest.ended in SENT or manifest.early_stop is not None:
        console.say(f"run {manifest.run_id} was sent before: finishing it, nothing is sent again")
        if manifest.sandbox and not manifest.client_only and not folder.evidence_path.is_file():
            raise BrokenRun(
                f"run {manifest.run_id} was sent to a sandbox that is gone, with its traces",
                hint="choose another --run-id to run again",
            )
        environment, is_new = read_environment(), not folder.verdict_path.is_file()
        complete(folder, from_environment(environment), console)
        code = conclude(folder, objectives, console, as_json=as_json, github=github)
        if is_new:
            export_after(folder, otlp_settings(environment, wanted=export), console)
        return code
    conclude(folder, objectives, console, as_json=as_json, github=github)
    how = manifest.ended or "broke off"
    console.say(
        f"run {manifest.run_id} did not reach its end ({how}) and is not sent again;"
        " choose another --run-id to pay for a new run"
    )
    return ExitCode.ERROR


def _check_same(manifest: Manifest, scenario: Scenario, slo: Path) -> None:
    """Refuse to hand out the verdict of something else under this id."""
    asked = {"scenario": scenario_digest(scenario), "slo": slo_digest(slo)}
    other = [name for name, digest in asked.items() if manifest.digests.get(name) != digest]
    if other:
        raise ConfigurationError(
            f"run {manifest.run_id} exists and used another {' and '.join(other)}",
            hint="choose another --run-id, or give the files and options of the first attempt",
        )


def _check_idle(folder: RunFolder) -> None:
    progress = folder.work_path / "progress.json"
    if progress.is_file() and time.time() - progress.stat().st_mtime < STILL_S:
        raise BrokenRun(
            f"{folder.path} is being written by a load process right now",
            hint="wait for it to end; two gates must not share a run id",
        )

"""`collect RUN`: fetch the evidence of a stored run again, keep what was seen before, say what changed."""

from __future__ import annotations

from tfy_last9.adapters.environment import read_environment
from tfy_last9.adapters.files.openslo import load_objectives
from tfy_last9.adapters.last9.settings import Last9Settings
from tfy_last9.adapters.runfolder.folder import RunFolder
from tfy_last9.adapters.runfolder.seal import seal
from tfy_last9.adapters.truefoundry.control_plane import ControlPlaneSettings
from tfy_last9.cli.collecting import Collector
from tfy_last9.cli.console import Console
from tfy_last9.cli.judging import conclude
from tfy_last9.errors import BrokenRun, ConfigurationError, MissingSettings
from tfy_last9.model.run import Collection, EvidenceRecord
from tfy_last9.reports import verdict_json


def collect_again(folder: RunFolder, settings: Last9Settings | None, console: Console) -> int:
    """Fetch, decide again, print the verdict and what changed; return the exit code."""
    if folder.read_manifest().client_only:
        raise ConfigurationError(
            f"{folder.path} was run with --client-only: Last9 was not meant to be asked",
            hint="run the gate again without --client-only",
        )
    if settings is None:
        raise MissingSettings(
            "LAST9_REFRESH_TOKEN is not set, so nothing can be fetched",
            hint="set it (environment or .env) to a token with read scope, then run this again",
        )
    manifest = seal(folder)
    before = folder.read_evidence() if folder.evidence_path.is_file() else None
    state = _state(folder)
    objectives = load_objectives(folder.slo_path)
    control_plane = ControlPlaneSettings.of(read_environment())
    with Collector(folder, objectives, settings, control_plane) as collector:
        record = collector.collect(manifest, console)
    if record.error is not None and before is not None and before.error is None:
        folder.write_evidence(before)
        console.say(f"collecting again failed, the earlier evidence is kept: {record.error}")
        record = before
    code = conclude(folder, objectives, console)
    for line in changes(before, record, state, _state(folder)):
        console.say(line)
    return code


def changes(
    before: EvidenceRecord | None, now: EvidenceRecord, was: str | None, state: str | None
) -> list[str]:
    """Return what another collection changed, in words."""
    if before is None or not before.collections or not now.collections:
        return []
    if before is now:
        return ["changed: nothing"]
    old, new = before.collections[-1], now.collections[-1]
    found = [text for text in (_complete(old, new), _spans(old, new)) if text]
    if was != state and was is not None:
        found.append(f"verdict {was} -> {state}")
    return ["changed: " + ("; ".join(found) or "nothing")]


def _complete(old: Collection, new: Collection) -> str:
    if new.complete == old.complete:
        return ""
    return (
        f"{new.complete - old.complete:+,} complete traces "
        f"({old.complete:,} -> {new.complete:,} of {new.expected:,})"
    )


def _spans(old: Collection, new: Collection) -> str:
    return f"{new.spans - old.spans:+,} spans of the run" if new.spans != old.spans else ""


def _state(folder: RunFolder) -> str | None:
    if not folder.verdict_path.is_file():
        return None
    try:
        return verdict_json.parse(folder.verdict_path.read_text(encoding="utf-8")).state.value
    except BrokenRun:
        return None

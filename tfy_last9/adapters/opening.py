"""Open a run: read its files, describe it, make its folder. Used by `gate` and by the Locust plugin."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from secrets import token_hex

from tfy_last9.adapters.files.digests import comparability_hash, scenario_digest, slo_digest
from tfy_last9.adapters.files.openslo import load_objectives, slo_files
from tfy_last9.adapters.runfolder.folder import RunFolder
from tfy_last9.arrivals.costs import check_budget
from tfy_last9.model.objective import Objective
from tfy_last9.model.run import Manifest, Retry
from tfy_last9.model.scenario import Scenario

_NS_PER_S = 1_000_000_000
_RECORDED = ("tfy-last9", "locust", "gevent", "openai", "duckdb", "httpx")


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What somebody asked to run."""

    scenario: Scenario
    slo: Path
    """A file or a folder of OpenSLO files."""
    out: Path
    gateway_url: str
    workers: int
    sandbox: bool = False
    client_only: bool = False
    faults: tuple[str, ...] = ()
    run_id: str | None = None
    """None: a new one."""
    retry: Retry | None = None


def new_run_id(scenario: Scenario, now_ns: int) -> str:
    """Return an id that sorts by time, names the scenario, and collides with no other run."""
    stamp = datetime.fromtimestamp(now_ns / _NS_PER_S, tz=UTC).strftime("%Y%m%d-%H%M%S")
    return f"{stamp}-{scenario.name}-{token_hex(3)}"


def open_run(request: RunRequest, now_ns: int) -> tuple[RunFolder, tuple[Objective, ...]]:
    """Make the run folder. Raises `FileProblems` for SLO files, `ConfigurationError` for a budget, of no use."""
    check_budget(request.scenario, request.workers)
    objectives = load_objectives(request.slo)
    files = slo_files(request.slo)
    manifest = Manifest(
        run_id=request.run_id or new_run_id(request.scenario, now_ns),
        created_ns=now_ns,
        scenario=request.scenario,
        versions={"python": platform.python_version()}
        | {name: version(name) for name in _RECORDED},
        digests={
            "scenario": scenario_digest(request.scenario),
            "slo": slo_digest(request.slo),
            "comparability": comparability_hash(request.scenario),
        },
        gateway_url=request.gateway_url,
        sandbox=request.sandbox,
        client_only=request.client_only,
        faults=request.faults,
        expected_workers=request.workers,
        retry=request.retry,
    )
    root = request.slo if request.slo.is_dir() else request.slo.parent
    return RunFolder.create(request.out, manifest, root, files), objectives

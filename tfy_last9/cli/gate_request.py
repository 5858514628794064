"""What `gate` was asked for, and the scenario that makes of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from tfy_last9.cli.budgeting import limited
from tfy_last9.cli.crew import Crew
from tfy_last9.cli.publishing import GitHub
from tfy_last9.errors import (
    ConfigurationError,
)
from tfy_last9.model.scenario import Scenario


@dataclass(frozen=True, slots=True)
class GateRequest:
    """The command line of `gate`."""

    scenario: Path
    slo: Path
    out: Path
    sandbox: bool
    sandbox_port: int
    faults: tuple[str, ...]
    client_only: bool
    crew: Crew
    rate_per_s: float | None
    duration_s: float | None
    seed: int | None
    as_json: bool
    github: GitHub | None = None
    gateway_config: Path | None = None
    """The sandbox gateway's YAML file."""
    gateway_switches: tuple[str, ...] = ()
    """Behaviour of the sandbox's gateway, as `span-kinds=internal`."""
    run_id: str | None = None
    """A run of this id is finished if it exists, and made if not; None: a new id."""
    retry_of: Path | None = None
    """An undecided run that this one repeats, or `latest`."""
    export: bool | None = None
    """Send the run's own spans and metrics to Last9; None: as `LAST9_OTLP_EXPORT` says."""
    baseline: str | None = None
    """`latest-pass`, or a stored run to compare with; None: judge the run alone."""
    baselines: str | None = None
    """Where baselines are kept; None: as `TFY_BASELINES` says, else beside the run."""
    users: int | None = None
    """Most concurrent requests; None: as the scenario says."""
    budget_usd: float | None = None
    """Beats the scenario's `limits: {usd: ...}`."""


def overridden(scenario: Scenario, request: GateRequest) -> Scenario:
    """Apply `--rate`, `--duration` and `--seed`."""
    phases = scenario.phases
    if scenario.is_shaped and (request.rate_per_s or request.duration_s):
        raise ConfigurationError(
            f"--rate and --duration do not fit {scenario.arrivals} arrivals, which set rates and times",
            hint="change the scenario file",
        )
    if scenario.is_closed and request.rate_per_s:
        raise ConfigurationError(
            "--rate does not fit a closed loop, in which answers set the rate",
            hint="change `users` or `think` in the scenario file",
        )
    if request.rate_per_s is not None:
        phases = tuple(replace(phase, rate_per_s=request.rate_per_s) for phase in phases)
    if request.duration_s is not None:
        judged_s = sum(phase.duration_s for phase in phases if phase.judged)
        factor = request.duration_s / judged_s
        phases = tuple(
            replace(phase, duration_s=phase.duration_s * factor) if phase.judged else phase
            for phase in phases
        )
    seed = scenario.seed if request.seed is None else request.seed
    limits = replace(scenario.limits, users=request.users or scenario.limits.users)
    limits = limited(limits, request.budget_usd, rehearses=bool(request.faults))
    return replace(scenario, phases=phases, seed=seed, limits=limits)

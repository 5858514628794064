"""Load-test an LLM gateway and prove its SLOs from the traces that reached Last9.

For locustfiles: `install`, `ScenarioUser`, `GatewayUser` and the `Reply` that its calls return; these import
Locust. For programs: scenarios and objectives are read with `load_scenario` and `load_objectives`, what a run
left behind with `RunFolder`. Names are imported when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tfy_last9.adapters.files.openslo import load_objectives
    from tfy_last9.adapters.files.scenario import load_scenario
    from tfy_last9.adapters.runfolder.folder import RunFolder
    from tfy_last9.errors import ConfigurationError, ExitCode, TfyError
    from tfy_last9.model.objective import Objective
    from tfy_last9.model.request import LedgerRow, Outcome
    from tfy_last9.model.scenario import Scenario
    from tfy_last9.model.verdict import Finding, State, Verdict
    from tfy_last9.swarm import GatewayUser, Reply, ScenarioUser, install

__all__ = [
    "ConfigurationError",
    "ExitCode",
    "Finding",
    "GatewayUser",
    "LedgerRow",
    "Objective",
    "Outcome",
    "Reply",
    "RunFolder",
    "Scenario",
    "ScenarioUser",
    "State",
    "TfyError",
    "Verdict",
    "install",
    "load_objectives",
    "load_scenario",
]

_PLACES = {
    "ConfigurationError": "errors",
    "ExitCode": "errors",
    "Finding": "model.verdict",
    "GatewayUser": "swarm",
    "LedgerRow": "model.request",
    "Objective": "model.objective",
    "Outcome": "model.request",
    "Reply": "swarm",
    "RunFolder": "adapters.runfolder.folder",
    "Scenario": "model.scenario",
    "ScenarioUser": "swarm",
    "State": "model.verdict",
    "TfyError": "errors",
    "Verdict": "model.verdict",
    "install": "swarm",
    "load_objectives": "adapters.files.openslo",
    "load_scenario": "adapters.files.scenario",
}


def __getattr__(name: str) -> object:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)


def __dir__() -> list[str]:
    return __all__

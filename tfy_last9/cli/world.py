"""Where a run takes place: the real services, or the sandbox."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass

from tfy_last9.adapters.environment import (
    GatewaySettings,
    arm_gateways,
    gateway_settings,
    read_environment,
)
from tfy_last9.adapters.last9.settings import Last9Settings, from_environment
from tfy_last9.adapters.otlp.settings import OtlpSettings, otlp_settings
from tfy_last9.adapters.truefoundry.control_plane import ControlPlaneSettings
from tfy_last9.cli.console import Console
from tfy_last9.cli.gate_request import GateRequest
from tfy_last9.cli.sandbox import Sandbox, SandboxRequest
from tfy_last9.cli.sandbox_place import SandboxPlace
from tfy_last9.errors import (
    MissingSettings,
)
from tfy_last9.model.scenario import Scenario


@dataclass(frozen=True, slots=True)
class World:
    """Where the run takes place."""

    gateway: GatewaySettings
    arms: Mapping[str, GatewaySettings]
    """Gateway per arm; empty without arms."""
    last9: Last9Settings | None
    """None only for `--client-only`."""
    control_plane: ControlPlaneSettings | None
    sandbox: Sandbox | None
    otlp: OtlpSettings | None = None
    """Where the run's own spans and metrics go; None: nowhere."""

    def check(self) -> None:
        """Raise if the sandbox died."""
        if self.sandbox is not None:
            self.sandbox.check()


def enter_world(
    request: GateRequest,
    scenario: Scenario,
    place: SandboxPlace | None,
    stack: ExitStack,
    console: Console,
) -> World:
    """Start the sandbox where it is wanted, and return the world; `stack` ends it. Raises on missing settings."""
    sandbox = None
    if place is not None:
        wanted = SandboxRequest(
            *(place.path, request.sandbox_port, request.faults, scenario.seed),
            gateway_config=request.gateway_config,
            gateway_options=tuple(f"--{switch}" for switch in request.gateway_switches),
        )
        sandbox = stack.enter_context(Sandbox(wanted))
        environment = sandbox.environment
        console.say("sandbox: simulated providers, gateway and Last9 are up" + _faulty(request))
    else:
        environment = read_environment()
    gateway = gateway_settings(environment)
    if sandbox is None:
        arms = arm_gateways(environment, scenario)
    else:  # there is one gateway in the sandbox, whatever the arms name
        arms = {arm.name: gateway for arm in scenario.sides}
    last9 = None if request.client_only else from_environment(environment)
    if last9 is None and not request.client_only:
        raise MissingSettings(
            "LAST9_REFRESH_TOKEN is not set, so no trace could be verified",
            hint="set it to a refresh token with read scope, use --sandbox to rehearse, "
            "or --client-only to judge the client's ledger alone",
        )
    otlp = otlp_settings(environment, wanted=request.export)
    return World(gateway, arms, last9, ControlPlaneSettings.of(environment), sandbox, otlp)


def _faulty(request: GateRequest) -> str:
    return f", with faults {', '.join(request.faults)}" if request.faults else ""

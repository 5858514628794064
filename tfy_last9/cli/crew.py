"""Who sends the load: processes of this machine, or workers that join from elsewhere (`tfy-last9 worker`)."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, NoReturn

import orjson
import typer

from tfy_last9.adapters.environment import gateway_settings, is_loopback, read_environment
from tfy_last9.cli.console import Console
from tfy_last9.errors import ConfigurationError, PortInUse

LOCUSTFILE = Path(__file__).parent.parent / "swarm" / "locustfile.py"
JOIN_S = 300
"""How long workers may take to join."""
MASTER_PORT = 5557
UNWANTED = ("LOCUST_", "LAST9_")
"""No surprises from the shell, and no token that sending load does not need."""


@dataclass(frozen=True, slots=True)
class Crew:
    """Who takes part in a run."""

    processes: int = 1
    expected: int = 0
    """Workers that join from elsewhere; 0: this machine alone sends."""
    bind_host: str = "127.0.0.1"
    bind_port: int = MASTER_PORT
    locustfile: Path = LOCUSTFILE

    @property
    def workers(self) -> int:
        """Return how many workers the run has."""
        return self.expected or self.processes

    def check(self, *, sandbox: bool) -> None:
        """Raise `ConfigurationError` for combinations that cannot work."""
        if self.expected and self.processes > 1:
            raise ConfigurationError(
                "--processes and --expect-workers exclude each other: with workers elsewhere the gate sends nothing",
                hint="leave --processes out here, and give it to `tfy-last9 worker`",
            )
        if self.expected and sandbox:
            raise ConfigurationError(
                "--expect-workers does not work with --sandbox: workers could not know the sandbox's key",
                hint="start `tfy-last9 sandbox --env-file .env` and use its settings here and on the workers",
            )
        if self.expected:
            self._check_port()

    def _check_port(self) -> None:
        try:
            with socket.create_server((self.bind_host, self.bind_port)):
                pass
        except OSError as error:
            raise PortInUse(
                f"workers cannot be received on {self.bind_host}:{self.bind_port}: {error.strerror}",
                hint="end what listens there, or give another --master-bind-port (or host) here and to workers",
            ) from error

    def arguments(self) -> list[str]:
        """Return what Locust is told about it."""
        if self.expected:
            waiting = ["--expect-workers", str(self.expected)]
            waiting += ["--expect-workers-max-wait", str(JOIN_S)]
            place = ["--master-bind-host", self.bind_host, "--master-bind-port"]
            return ["--master", *waiting, *place, str(self.bind_port)]
        if self.processes == 1:
            return []
        port = str(
            _free_port()
        )  # Locust's own default would collide with another run, on every interface
        place = ["--master-bind-host", "127.0.0.1", "--master-bind-port", port]
        return ["--processes", str(self.processes), *place, "--master-port", port]

    def announce(self, console: Console) -> None:
        """Say what to start elsewhere."""
        if not self.expected:
            return
        console.say(
            f"waiting for {self.expected} workers on {self.bind_host}:{self.bind_port}; on each: "
            f"tfy-last9 worker --master-host <this machine> --master-port {self.bind_port}"
        )
        if is_loopback(self.bind_host):
            console.say(
                "  only workers of this machine can reach that address; "
                "--master-bind-host 0.0.0.0 opens the port, unencrypted, to your network"
            )

    def waiting_line(self, work: Path) -> str | None:
        """Return one line on who has joined, while the load has not begun."""
        if not self.expected:
            return None
        try:
            joined = orjson.loads((work / "joined.json").read_bytes())["joined"]
        except (OSError, ValueError):
            joined = 0
        return f"waiting for workers: {joined} of {self.expected} joined"


LocustfileOption = Annotated[
    Path | None,
    typer.Option(help="Users of your own (GatewayUser or ScenarioUser); master and workers alike."),
]


def checked_locustfile(path: Path | None) -> Path:
    """Return the file to run, ours by default; raises `ConfigurationError` when it is not there."""
    if path is not None and not path.is_file():
        raise ConfigurationError(
            f"--locustfile {path} is no file", hint="see locustfiles/users.py for one to start from"
        )
    return (path or LOCUSTFILE).resolve()


def worker(
    master_host: Annotated[
        str, typer.Option(help="Host of the gate, or of `locust --master`.")
    ] = "127.0.0.1",
    master_port: Annotated[int, typer.Option(help="Its port.")] = MASTER_PORT,
    processes: Annotated[int, typer.Option(min=1, help="Workers on this machine.")] = 1,
    locustfile: LocustfileOption = None,
) -> None:
    """Join a distributed run and send a share of its load; ends when the run does.

    Needs TFY_GATEWAY_URL and TFY_API_KEY and the master's version of this package; no scenario, no SLO
    files and no Last9 token.

    Example: tfy-last9 worker --master-host 10.0.0.5
    """
    environment = read_environment()
    gateway_settings(environment)
    Console().say(f"worker: joining {master_host}:{master_port}; Ctrl-C leaves")
    file = checked_locustfile(locustfile)
    command = [sys.executable, "-m", "tfy_last9.swarm.join", "-f", str(file), "--worker"]
    command += ["--master-host", master_host, "--master-port", str(master_port)]
    command += ["--processes", str(processes)] if processes > 1 else []
    _become(command, environment)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def _become(command: list[str], environment: Mapping[str, str]) -> NoReturn:
    """Let Locust take this process over: signals and exit codes are then its own."""
    unwanted = (*UNWANTED, "TFY_RUN_DIR")
    kept = {name: value for name, value in environment.items() if not name.startswith(unwanted)}
    sys.stderr.flush()
    os.execve(command[0], command, kept | {"TFY_JOINED": "1"})  # noqa: S606 - our own interpreter and module

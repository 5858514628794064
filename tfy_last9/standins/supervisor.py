"""`up`: start providers, Last9 and gateway as processes of their own, say where they are, watch them.

One JSON line on stdout when all answer. Ends on SIGTERM or SIGINT with 0, with 23 when a port is
taken or a process dies, with 24 when a fault cannot be read. Children never outlive it.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import os
import secrets
import signal
import sys
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from tfy_last9.standins.certificate import CertificateFailed, make
from tfy_last9.standins.child import Child, ChildFailed
from tfy_last9.standins.endpoints import Endpoints, write_env_file, write_json
from tfy_last9.standins.faults import Fault, Owner, parse
from tfy_last9.standins.gateway.policy import reading
from tfy_last9.standins.keys import Keys
from tfy_last9.standins.serving import EXIT_ERROR, HOST, PortInUse, bind

BAD_USAGE = 24
STOP_ORDER = ("gateway", "providers", "last9")
"""The gateway first: it flushes its last spans into Last9."""


@dataclass(frozen=True, slots=True)
class Options:
    """What `up` was asked to do."""

    directory: Path
    port: int
    seed: int
    faults: tuple[Fault, ...]
    env_file: Path | None
    stdin_lifeline: bool
    gateway_config: Path | None
    """The gateway's YAML file."""
    gateway_options: tuple[str, ...]
    last9_options: tuple[str, ...]
    data: Path | None
    """Where Last9 keeps its spans; below the directory if None."""
    tls: bool

    def faults_of(self, *owners: Owner) -> list[str]:
        """Give the command-line arguments for the faults of some processes."""
        return [f"--fault={fault}" for fault in self.faults if fault.owner in owners]

    @property
    def configured(self) -> list[str]:
        """The command-line arguments for the gateway's configuration."""
        found = [] if self.gateway_config is None else [f"--gateway-config={self.gateway_config}"]
        return [*found, *self.gateway_options]

    def port_of(self, name: str) -> int:
        """Give the port of a process: consecutive from the base, or 0 for any."""
        return self.port and self.port + ("gateway", "last9", "providers").index(name)


@dataclass(slots=True)
class Sandbox:
    """The running processes and the secrets they share."""

    options: Options
    keys: Keys = field(default_factory=Keys.mint)
    otlp_auth: str = field(default_factory=lambda: _basic("sandbox", secrets.token_urlsafe(18)))
    children: dict[str, Child] = field(default_factory=dict)

    @property
    def journal(self) -> Path:
        """The file all processes append to."""
        return self.options.directory / "journal.ndjson"

    async def start(self) -> Endpoints:
        """Start all processes; the gateway last, because it needs the others' ports."""
        options = self.options
        data = options.data or options.directory / "last9"
        certificate = make(options.directory / "tls") if options.tls else None
        served = [f"--certificate={certificate.server}"] if certificate else []
        trusted = [f"--last9-ca={certificate.authority}"] if certificate else []
        await asyncio.gather(
            self._start("providers", *self._seeded(Owner.PROVIDERS)),
            self._start(
                *("last9", f"--data={data}", *self._seeded(Owner.LAST9), *served),
                *options.last9_options,
            ),
        )
        scheme, port = "https" if certificate else "http", self.children["last9"].port
        last9 = f"{scheme}://{HOST}:{port}"
        endpoint = f"{last9}/v1/traces"
        await self._start(
            *("gateway", *self._seeded(*Owner), *trusted),
            f"--providers-port={self.children['providers'].port}",
            f"--last9-port={port}",
            f"--otlp-endpoint={endpoint}",
            *options.configured,
        )
        return Endpoints(
            gateway_url=f"http://{HOST}:{self.children['gateway'].port}",
            api_key=self.keys.application,
            last9_url=last9,
            refresh_token=str(self.children["last9"].ready.get("refresh_token", "")),
            otlp_endpoint=endpoint,
            otlp_auth=self.otlp_auth,
            authority=str(certificate.authority.resolve()) if certificate else None,
        )

    def _seeded(self, *owners: Owner) -> list[str]:
        return [f"--seed={self.options.seed}", *self.options.faults_of(*owners)]

    async def _start(self, name: str, *arguments: str) -> None:
        common = [f"--port={self.options.port_of(name)}", f"--journal={self.journal}"]
        shared = {
            "SANDBOX_API_KEY": self.keys.application,
            "SANDBOX_OTHER_KEYS": self.keys.others(),
            "SANDBOX_OTLP_AUTH": self.otlp_auth,
        }
        child = await Child.start(name, [*common, *arguments], shared, self.options.directory)
        self.children[name] = child
        await child.wait_until_ready()

    async def first_death(self) -> Child:
        """Wait until a process ends on its own."""
        waits = {
            asyncio.create_task(child.process.wait()): child for child in self.children.values()
        }
        done, rest = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for task in rest:
            task.cancel()
        return waits[done.pop()]

    async def stop(self) -> None:
        """Stop what runs, in order."""
        for name in STOP_ORDER:
            if name in self.children:
                await self.children[name].stop()


def _basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def _say(document: dict[str, object]) -> None:
    sys.stdout.write(orjson.dumps(document).decode() + "\n")
    sys.stdout.flush()


async def _until_stopped(*, stdin_lifeline: bool) -> None:
    loop, stopped = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)

    def watch_stdin() -> None:
        if not os.read(0, 4096):
            loop.remove_reader(0)
            stopped.set()

    if stdin_lifeline:
        loop.add_reader(0, watch_stdin)
    await stopped.wait()


async def _supervise(options: Options) -> int:
    sandbox = Sandbox(options)
    stopped = asyncio.create_task(_until_stopped(stdin_lifeline=options.stdin_lifeline))
    starting = asyncio.create_task(_bring_up(sandbox))
    try:
        await asyncio.wait({stopped, starting}, return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            return 0
        starting.result()
        death = asyncio.create_task(sandbox.first_death())
        await asyncio.wait({stopped, death}, return_when=asyncio.FIRST_COMPLETED)
        if stopped.done():
            return 0
        dead = death.result()
        _say({"event": "died", "process": dead.name, "exit": dead.process.returncode})
    except CertificateFailed as error:
        sys.stderr.write(f"{error}\n")
    except ChildFailed as error:
        sys.stderr.write(f"{error}\n")
        # What a process could not read on its command line came from ours.
        return BAD_USAGE if error.exit_code == BAD_USAGE else EXIT_ERROR
    finally:
        starting.cancel()
        await sandbox.stop()
    return EXIT_ERROR


async def _bring_up(sandbox: Sandbox) -> None:
    endpoints = await sandbox.start()
    options = sandbox.options
    document: dict[str, object] = {
        "event": "ready",
        "env": endpoints.env(),
        "keys": sandbox.keys.named(),
        "pids": {name: child.process.pid for name, child in sandbox.children.items()},
        "journal": str(sandbox.journal),
    }
    write_json(options.directory / "endpoints.json", document)
    if options.env_file is not None:
        write_env_file(options.env_file, endpoints.env())
    _say(document)


def _check_ports(base: int) -> None:
    """Find a taken port before anything is started; raises PortInUse."""
    for port in range(base, base + 3) if base else ():
        bind(port).close()


def _read(argv: list[str]) -> Options:
    parser = argparse.ArgumentParser(prog="up")
    add = parser.add_argument
    add("--dir", type=Path, required=True, dest="directory")
    add("--port", type=int, default=0, help="base port: gateway, +1 Last9, +2 providers")
    add("--fault", action="append", default=[], type=str, dest="faults")
    add("--seed", type=int, default=0)
    add("--env-file", type=Path)
    add("--stdin-lifeline", action="store_true", help="end when stdin is closed")
    add("--gateway-config", type=Path, help="the gateway's routes, limits, guardrails, export")
    add("--gateway-option", action="append", default=[], dest="gateway_options")
    add("--last9-option", action="append", default=[], dest="last9_options")
    add("--data", type=Path, help="where Last9 keeps its spans; default: DIR/last9")
    add("--tls", action="store_true", help="serve Last9 over https with a certificate made for it")
    found = vars(parser.parse_args(argv))
    for name in ("gateway_options", "last9_options"):
        found[name] = tuple(found[name])
    found["faults"] = tuple(parse(text) for text in found["faults"])
    return Options(**found)


def main(argv: list[str]) -> int:
    """Run the sandbox in the foreground; returns the exit code; raises FaultError, ConfigError."""
    try:
        options = _read(argv)
        reading.read(options.gateway_config)  # before anything is started
        options.directory.mkdir(parents=True, exist_ok=True)
        _check_ports(options.port)
    except PortInUse as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_ERROR
    return asyncio.run(_supervise(options))

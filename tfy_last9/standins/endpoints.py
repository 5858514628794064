"""Where the running sandbox answers and with which throw-away secrets, as tools want to read it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import orjson

OWNER_ONLY = 0o600


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Everything a client needs, under the names of its environment variables."""

    gateway_url: str
    api_key: str
    last9_url: str
    refresh_token: str
    otlp_endpoint: str
    """Full URL, /v1/traces included."""
    otlp_auth: str
    """Whole header value, `Basic ` included."""
    authority: str | None = None
    """PEM file that a client has to trust, if Last9 speaks TLS."""

    def env(self) -> dict[str, str]:
        """Name the values as environment variables."""
        trusted = {"TFY_CA_BUNDLE": self.authority} if self.authority else {}
        return {
            "TFY_GATEWAY_URL": self.gateway_url,
            "TFY_API_KEY": self.api_key,
            "TFY_CONTROL_PLANE_URL": self.gateway_url,  # one process plays both hosts
            "LAST9_API_URL": self.last9_url,
            "LAST9_REFRESH_TOKEN": self.refresh_token,
            "LAST9_OTLP_ENDPOINT": self.otlp_endpoint,
            "LAST9_OTLP_AUTH": self.otlp_auth,
            **trusted,
        }


def write_env_file(path: Path, env: dict[str, str]) -> None:
    """Write KEY=VALUE lines, readable by the owner alone; values with spaces are quoted."""
    lines = [f'{key}="{value}"' if " " in value else f"{key}={value}" for key, value in env.items()]
    write_atomically(path, "\n".join(lines).encode() + b"\n")


def write_json(path: Path, document: object) -> None:
    """Write one JSON document, readable by the owner alone."""
    write_atomically(path, orjson.dumps(document, option=orjson.OPT_APPEND_NEWLINE))


def write_atomically(path: Path, content: bytes) -> None:
    """Replace a file in one step, so that a reader sees the old content or the whole new one."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, OWNER_ONLY)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    draft.replace(path)

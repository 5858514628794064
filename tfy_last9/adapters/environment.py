"""Settings from the process environment and a `.env` file; the process environment wins.

Secrets are held in records whose `repr` does not show them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from dotenv import dotenv_values

from tfy_last9.adapters.network import CA_BUNDLE, Proxy, proxy_for
from tfy_last9.errors import ConfigurationError, MissingSettings
from tfy_last9.model.scenario import Scenario

NO_GATEWAY = "no gateway to test: TFY_GATEWAY_URL and TFY_API_KEY are not set"
GATEWAY_REMEDIES = (
    "rehearse in the embedded sandbox (`gate --sandbox`; for `locust -f`, run `tfy-last9 sandbox "
    "--env-file .env` in another terminal), or set both, in the environment or .env: the base URL of "
    "your TrueFoundry AI Gateway, and a personal or virtual account token"
)


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """Where load goes, and the key it carries."""

    url: str
    api_key: str = field(repr=False)
    proxy: Proxy | None = None
    ca_bundle: str | None = None
    """PEM file of authorities to trust besides the system's."""


def read_environment(dotenv: Path = Path(".env")) -> dict[str, str]:
    """Return the process environment over the values of `.env` (a missing file is no error)."""
    try:
        values = dotenv_values(dotenv)
    except (UnicodeDecodeError, OSError) as error:
        raise ConfigurationError(
            f"{dotenv} cannot be read: {type(error).__name__}",
            hint="it should be a UTF-8 text file of NAME=value lines",
        ) from error
    stored = {name: value for name, value in values.items() if value is not None}
    return stored | dict(os.environ)


def gateway_settings(environment: Mapping[str, str]) -> GatewaySettings:
    """Return the gateway's address and key. Raises `MissingSettings` naming both remedies."""
    url, key = environment.get("TFY_GATEWAY_URL", ""), environment.get("TFY_API_KEY", "")
    if not url and not key:
        raise MissingSettings(NO_GATEWAY, hint=GATEWAY_REMEDIES)
    for name, value in (("TFY_GATEWAY_URL", url), ("TFY_API_KEY", key)):
        if not value:
            raise MissingSettings(f"{name} is not set", hint=GATEWAY_REMEDIES)
    url = checked_url("TFY_GATEWAY_URL", url)
    return _reached(url, checked_key("TFY_API_KEY", key), environment)


def _reached(url: str, key: str, environment: Mapping[str, str]) -> GatewaySettings:
    proxy = proxy_for(url, environment)
    return GatewaySettings(url, key, proxy, environment.get(CA_BUNDLE) or None)


def arm_gateways(environment: Mapping[str, str], scenario: Scenario) -> dict[str, GatewaySettings]:
    """Return the gateway of each arm. Raises `MissingSettings` naming the arm and its variable."""
    found = {}
    for arm in scenario.sides:
        for name in (arm.gateway, arm.key):
            if not environment.get(name):
                raise MissingSettings(
                    f"{name} is not set, and arm {arm.name!r} of the scenario needs it",
                    hint="set it (environment or .env), or take it out of the scenario's arms",
                )
        url = checked_url(arm.gateway, environment[arm.gateway])
        found[arm.name] = _reached(url, checked_key(arm.key, environment[arm.key]), environment)
    return found


def checked_key(name: str, key: str) -> str:
    """Return `key` without blanks around it; what no HTTP header can carry is refused, unrepeated."""
    key = key.strip().removeprefix("Bearer ").strip()
    if not key or not key.isascii() or not key.isprintable() or " " in key:
        raise ConfigurationError(
            f"{name} holds blanks, line breaks or other characters no key has",
            hint="copy the key again, whole and on one line",
        )
    return key


def checked_url(name: str, url: str) -> str:
    """Return `url` without a trailing slash; https is required except on loopback.

    The URL is written to the run folder and to the console, so it must hold no credential.
    """
    try:
        parts = urlsplit(url.strip())
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise ConfigurationError(
            f"{name} is no URL ({error})", hint="expected one such as https://gateway.example"
        ) from error
    if parts.username is not None or parts.query or parts.fragment:
        raise ConfigurationError(
            f"{name} holds a user, a query or a fragment: expected scheme, host and path alone",
            hint="such as https://gateway.example/path; the key goes into its own variable",
        )
    if parts.scheme not in {"http", "https"} or not host:
        raise ConfigurationError(
            f"{name} is {url!r}: expected a URL such as https://gateway.example"
        )
    if parts.scheme == "http" and not is_loopback(host):
        raise ConfigurationError(
            f"{name} is {url!r}: a key would travel unencrypted",
            hint="use https; plain http is accepted for loopback addresses only",
        )
    return url.strip().rstrip("/")


def is_loopback(host: str) -> bool:
    """Tell whether a host name or address means this machine."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False

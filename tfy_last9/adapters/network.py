"""How to reach a gateway: through which proxy, trusting which authorities.

Proxies follow the usual variables (HTTPS_PROXY, NO_PROXY, in either case); they are used for https only,
by CONNECT (RFC 9110, section 9.3.6), so that a proxy sees neither key nor prompt. Trusted are the system's
authorities, or those that SSL_CERT_FILE names instead, and those in TFY_CA_BUNDLE besides.
"""

from __future__ import annotations

import ssl
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from tfy_last9.errors import ConfigurationError

CA_BUNDLE = "TFY_CA_BUNDLE"
_PROXY_PORT = 8080


@dataclass(frozen=True, slots=True)
class Proxy:
    """An HTTP proxy."""

    host: str
    port: int
    authorization: str | None = field(default=None, repr=False)
    """Value of the Proxy-Authorization header."""
    url: str = field(default="", repr=False)
    """As configured, credentials included."""


def proxy_for(url: str, environment: Mapping[str, str]) -> Proxy | None:
    """Return the proxy for a URL, None where there is none. Raises `ConfigurationError`."""
    parts = urlsplit(url)
    configured = environment.get("https_proxy") or environment.get("HTTPS_PROXY") or ""
    if parts.scheme != "https" or not configured:
        return None
    exceptions = environment.get("no_proxy") or environment.get("NO_PROXY") or ""
    if any(_covers(name.strip(), parts.hostname or "") for name in exceptions.split(",")):
        return None
    return _proxy(configured if "://" in configured else f"http://{configured}")


def _covers(exception: str, host: str) -> bool:
    """Tell whether an entry of NO_PROXY means a host: the name itself, or a domain it is in."""
    name = exception.lower().lstrip(".").partition(":")[0]
    return exception == "*" or (bool(name) and (host == name or host.endswith("." + name)))


def _proxy(url: str) -> Proxy:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or _PROXY_PORT
    except ValueError:
        host, port = None, 0
    if not host or parts.scheme != "http":
        raise ConfigurationError(
            "HTTPS_PROXY is not the address of an HTTP proxy",
            hint="expected something like http://proxy.example:3128",
        )
    authorization = None
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        authorization = "Basic " + b64encode(pair.encode()).decode()
    return Proxy(host, port, authorization, url)


def certificates(ca_bundle: str | None) -> ssl.SSLContext:
    """Return a context that verifies certificates, with the authorities of a PEM file besides."""
    context = ssl.create_default_context()
    if ca_bundle:
        try:
            context.load_verify_locations(cafile=ca_bundle)
        except (OSError, ssl.SSLError) as error:
            raise ConfigurationError(
                f"{CA_BUNDLE} names {ca_bundle!r}, which cannot be used: {error}",
                hint="it should be a PEM file with certificates of authorities",
            ) from error
    return context

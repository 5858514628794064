"""Where the generator's own spans and metrics go, and whether they are wanted at all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tfy_last9.adapters.environment import checked_url
from tfy_last9.adapters.network import CA_BUNDLE
from tfy_last9.errors import ConfigurationError, MissingSettings

SWITCH, ENDPOINT, AUTH = "LAST9_OTLP_EXPORT", "LAST9_OTLP_ENDPOINT", "LAST9_OTLP_AUTH"
_ON, _OFF = frozenset({"1", "true", "on"}), frozenset({"", "0", "false", "off"})
_WHERE = "copy both from Last9, Integrations > OpenTelemetry, the word `Basic` included"


@dataclass(frozen=True, slots=True)
class OtlpSettings:
    """An OTLP/HTTP endpoint of Last9."""

    endpoint: str
    """Without the path of a signal: `/v1/traces` and `/v1/metrics` are added."""
    authorization: str = field(repr=False)
    ca_bundle: str | None = None
    """PEM file of authorities to trust besides the system's."""


def otlp_settings(
    environment: Mapping[str, str], *, wanted: bool | None = None
) -> OtlpSettings | None:
    """Return where to export to; None where nobody asked for it. A flag (`wanted`) beats the switch.

    Endpoint and header alone do not switch it on: a sandbox and a gateway are configured by the same two.
    """
    if wanted is None:
        wanted = _switch(environment.get(SWITCH, ""))
    if not wanted:
        return None
    url, auth = environment.get(ENDPOINT, "").strip(), environment.get(AUTH, "").strip()
    for name, value in ((ENDPOINT, url), (AUTH, auth)):
        if not value:
            raise MissingSettings(
                f"{name} is not set, and the run's own spans were asked for", hint=_WHERE
            )
    if not auth.startswith("Basic ") or not auth.isascii() or not auth.isprintable():
        raise ConfigurationError(f"{AUTH} should begin with `Basic ` and be one line", hint=_WHERE)
    endpoint = checked_url(ENDPOINT, url)
    for path in ("/v1/traces", "/v1/metrics"):
        endpoint = endpoint.removesuffix(path)
    return OtlpSettings(endpoint, auth, environment.get(CA_BUNDLE) or None)


def _switch(text: str) -> bool:
    word = text.strip().lower()
    if word not in _ON | _OFF:
        raise ConfigurationError(f"{SWITCH} should be 1 or 0, on or off, true or false: {text!r}")
    return word in _ON

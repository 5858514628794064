"""Switches of the gateway stand-in.

Each switch stands for something the public documentation leaves open; the default is the reading
that the evidence favours, and a checker has to work under every setting.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

from tfy_last9.standins.credentials import required

DEFAULT_RESOURCE = "env=sandbox,region=local,team=platform,tenant_id=sandbox"


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that may be set when the gateway starts."""

    port: int
    journal: str
    seed: int
    faults: tuple[str, ...]
    providers_port: int
    last9_port: int
    last9_ca: str | None
    """PEM file of the authority that signed Last9's certificate, if it speaks TLS."""
    otlp_endpoint: str
    otlp_auth: str
    api_key: str
    tenant: str
    region: str
    zone: str
    resource: dict[str, str]
    exclude_request_data: bool
    honour_traceparent: bool
    genai_attributes: bool
    flat_metadata: bool
    metadata_on_all_spans: bool
    traced_rejections: frozenset[int]


def _pairs(text: str) -> dict[str, str]:
    return dict(pair.split("=", 1) for pair in text.split(",") if pair)


def _statuses(text: str) -> frozenset[int]:
    return frozenset(int(part) for part in text.split(",") if part)


def read(argv: list[str]) -> Settings:
    """Read flags; the two secrets come in the environment, never as arguments."""
    parser = argparse.ArgumentParser(prog="gateway")
    add = parser.add_argument
    add("--port", type=int, default=0)
    add("--journal", required=True)
    add("--seed", type=int, default=0)
    add("--fault", action="append", default=[], dest="faults")
    add("--providers-port", type=int, required=True)
    add("--last9-port", type=int, default=0, help="where faults of Last9 are passed on to")
    add("--last9-ca")
    add("--otlp-endpoint", required=True, help="full URL, /v1/traces included")
    add("--tenant", default="sandbox")
    add("--region", default="local")
    add("--zone", default="local-a")
    add("--resource", type=_pairs, default=_pairs(DEFAULT_RESOURCE))
    add("--exclude-request-data", action="store_true", help="drop tfy.input, tfy.output")
    add("--honour-traceparent", action="store_true", help="continue the client's W3C trace")
    add("--genai-attributes", action="store_true", help="write gen_ai.* beside tfy.*")
    add("--flat-metadata", action="store_true", help="one attribute per metadata key, not JSON")
    add("--metadata-on-all-spans", action="store_true", help="not only on the root")
    add("--traced-rejections", type=_statuses, default=_statuses("400,403"))
    return Settings(
        **vars(parser.parse_args(argv)),
        otlp_auth=required("SANDBOX_OTLP_AUTH"),
        api_key=required("SANDBOX_API_KEY"),
    )

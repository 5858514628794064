"""Process entry of the gateway stand-in."""

from __future__ import annotations

import sys
from functools import partial
from ssl import create_default_context

from tfy_last9.standins.faults import Fault, FaultSet, Owner, parse
from tfy_last9.standins.gateway import settings
from tfy_last9.standins.gateway.app import Gateway
from tfy_last9.standins.gateway.embedded import Embedded
from tfy_last9.standins.gateway.export import TraceExport
from tfy_last9.standins.gateway.exporter import Sender, SpanExporter
from tfy_last9.standins.gateway.fault_switch import FaultSwitch
from tfy_last9.standins.gateway.identity import Identities
from tfy_last9.standins.gateway.metrics import Metrics
from tfy_last9.standins.gateway.otlp import OtlpSender
from tfy_last9.standins.gateway.policies import Policies
from tfy_last9.standins.gateway.policy import reading
from tfy_last9.standins.gateway.policy.config import Export
from tfy_last9.standins.gateway.sdk_sender import SdkSender
from tfy_last9.standins.gateway.settings import Exporting, Settings
from tfy_last9.standins.gateway.upstream import HttpUpstream, Upstream
from tfy_last9.standins.journal import Journal
from tfy_last9.standins.providers.app import Providers
from tfy_last9.standins.providers.vendors import Speed
from tfy_last9.standins.serving import HOST, run

SWITCH_INTERVAL_S = 0.0001
"""How long the event loop may wait while the export thread encodes; Python's default is ten times it."""


def main(argv: list[str]) -> int:
    """Serve until SIGTERM, then flush the spans that are still queued."""
    chosen = settings.read(argv)
    config = reading.read(chosen.gateway_config)
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    faults = list(map(parse, chosen.faults))
    mine = FaultSet((f for f in faults if f.owner is Owner.GATEWAY), chosen.seed)
    trusting = create_default_context(cafile=chosen.last9_ca) if chosen.last9_ca else None
    last9 = HttpUpstream(HOST, chosen.last9_port, trusting)
    with Journal(chosen.journal, "gateway") as journal:
        upstream = _upstream(chosen, journal, faults)
        metrics = Metrics(chosen.tenant)
        sends = partial(_sender, chosen, config.export)
        exporter = SpanExporter(config.export, sends, journal, metrics)
        export = TraceExport(
            *(chosen, journal, mine, exporter),
            exclude_request_data=config.export.exclude_request_data,
        )
        peers = {Owner.PROVIDERS: upstream, Owner.LAST9: last9}
        identities = Identities(chosen.api_key, chosen.other_keys)
        switch = FaultSwitch(chosen, identities, export, peers, faults)
        policies = Policies(config, chosen, metrics)
        app = Gateway(chosen, journal, upstream, export, switch, policies)
        exit_code = run(app, chosen.port)
        export.close()
        return exit_code


def _sender(chosen: Settings, rules: Export) -> Sender:
    if chosen.exporter is Exporting.SDK and rules == Export():
        return SdkSender(
            chosen.otlp_endpoint,
            chosen.otlp_auth,
            resource=chosen.resource,
            authority=chosen.last9_ca,
        )
    return OtlpSender(
        chosen.otlp_endpoint,
        chosen.otlp_auth,
        resource={**chosen.resource, **rules.resource},
        encoding=rules.encoding,
        timeout_s=rules.timeout_s,
        authority=chosen.last9_ca,
    )


def _upstream(chosen: Settings, journal: Journal, faults: list[Fault]) -> Upstream:
    if not chosen.embed_providers:
        return HttpUpstream(HOST, chosen.providers_port)
    theirs = FaultSet((f for f in faults if f.owner is Owner.PROVIDERS), chosen.seed)
    app = Providers(
        journal=journal,
        seed=chosen.seed,
        faults=theirs,
        api_key=chosen.api_key,
        pace=_speed(chosen.pace),
        records_due=chosen.record_sends,
    )
    return Embedded(app)


def _speed(pace: tuple[float, float] | None) -> Speed | None:
    return pace and Speed(pace[0] / 1000, pace[1] / 1000)

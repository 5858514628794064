"""Process entry of the gateway stand-in."""

from __future__ import annotations

import sys
from ssl import create_default_context

from tfy_last9.standins.faults import FaultSet, Owner, parse
from tfy_last9.standins.gateway import settings
from tfy_last9.standins.gateway.app import Gateway
from tfy_last9.standins.gateway.export import JournalledExporter, TraceExport
from tfy_last9.standins.gateway.fault_switch import FaultSwitch
from tfy_last9.standins.gateway.upstream import Upstream
from tfy_last9.standins.journal import Journal
from tfy_last9.standins.serving import HOST, run

SWITCH_INTERVAL_S = 0.0005
"""How long the event loop may wait while the export thread encodes; Python's default is ten times it."""


def main(argv: list[str]) -> int:
    """Serve until SIGTERM, then flush the spans that are still queued."""
    chosen = settings.read(argv)
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    faults = list(map(parse, chosen.faults))
    mine = FaultSet((f for f in faults if f.owner is Owner.GATEWAY), chosen.seed)
    upstream = Upstream(HOST, chosen.providers_port)
    trusting = create_default_context(cafile=chosen.last9_ca) if chosen.last9_ca else None
    last9 = Upstream(HOST, chosen.last9_port, trusting)
    peers = {Owner.PROVIDERS: upstream, Owner.LAST9: last9}
    with Journal(chosen.journal, "gateway") as journal:
        exporter = JournalledExporter(
            journal, chosen.otlp_endpoint, chosen.otlp_auth, chosen.last9_ca
        )
        export = TraceExport(chosen, journal, mine, exporter)
        switch = FaultSwitch(chosen, export, peers, faults)
        app = Gateway(chosen, journal, upstream, export, switch)
        exit_code = run(app, chosen.port)
        export.close()
        return exit_code

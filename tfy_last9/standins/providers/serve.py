"""Process entry of the simulated providers."""

from __future__ import annotations

import argparse

from tfy_last9.standins.credentials import required
from tfy_last9.standins.faults import FaultSet, parse
from tfy_last9.standins.journal import Journal
from tfy_last9.standins.providers.app import Providers
from tfy_last9.standins.serving import run


def main(argv: list[str]) -> int:
    """Serve until SIGTERM; the API key that guards the faults comes in `SANDBOX_API_KEY`."""
    parser = argparse.ArgumentParser(prog="providers")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--journal", required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--fault", action="append", default=[])
    options = parser.parse_args(argv)
    with Journal(options.journal, "providers") as journal:
        app = Providers(
            journal=journal,
            seed=options.seed,
            faults=FaultSet(map(parse, options.fault), options.seed),
            api_key=required("SANDBOX_API_KEY"),
        )
        return run(app, options.port)

"""Start one part of the sandbox: `up` is the supervisor, the others are the processes it starts."""

from __future__ import annotations

import sys
from importlib import import_module

from tfy_last9.standins import lifeline
from tfy_last9.standins.configuration import ConfigError
from tfy_last9.standins.credentials import MissingCredential
from tfy_last9.standins.faults import FaultError

PARTS = {
    "up": "tfy_last9.standins.supervisor",
    "providers": "tfy_last9.standins.providers.serve",
    "gateway": "tfy_last9.standins.gateway.serve",
    "last9": "tfy_last9.standins.last9.serve",
}
BAD_USAGE = 24
ARGPARSE_USAGE = 2


def main(argv: list[str]) -> int:
    """Import only the part that is asked for and run its `main(argv)`; returns the exit code."""
    if not argv or argv[0] not in PARTS:
        seen = argv[0] if argv else "nothing"
        sys.stderr.write(f"expected one of {', '.join(PARTS)}, saw {seen}\n")
        return BAD_USAGE
    lifeline.hold()
    module = import_module(PARTS[argv[0]])
    exit_code: int = module.main(argv[1:])
    return exit_code


def start() -> int:
    """Run with the process arguments; bad usage ends with the code the whole program uses for it."""
    try:
        return main(sys.argv[1:])
    except (FaultError, MissingCredential, ConfigError) as error:
        sys.stderr.write(f"{error}\n")
        return BAD_USAGE
    except SystemExit as stop:
        return BAD_USAGE if stop.code == ARGPARSE_USAGE else int(stop.code or 0)


if __name__ == "__main__":
    sys.exit(start())

"""`python -m tfy_last9.swarm.join`: Locust as `tfy-last9 worker` runs it, with exit codes of ours.

A process of its own from the first import on: importing Locust patches the standard library.
"""

from __future__ import annotations

import sys
from typing import Any, NoReturn

from locust.main import main as run_locust

from tfy_last9.errors import ExitCode
from tfy_last9.swarm.patience import be_patient

KNOWN = frozenset(map(int, ExitCode))


def main() -> NoReturn:
    """Run Locust with the arguments given; every way out is a documented exit code."""
    be_patient()
    try:
        run_locust()
        code: Any = 0
    except SystemExit as ended:
        code = ended.code
    if code is None or code in KNOWN:
        sys.exit(code)
    sys.stderr.write(
        "tfy-last9: the worker could not join, or Locust ended in an error (see above)\n"
        "      fix: start the master first, and check --master-host, --master-port and what is between\n"
    )
    sys.exit(int(ExitCode.ERROR))


if __name__ == "__main__":
    main()

"""End with the parent: a child of the supervisor holds the read end of a pipe as its stdin.

The kernel closes the write end when the supervisor ends in whatever way, SIGKILL included, so end of
file on stdin means that nobody is left to stop this process. Portable, unlike PR_SET_PDEATHSIG.
"""

from __future__ import annotations

import os
import signal
import threading
import time

SWITCH = "SANDBOX_LIFELINE"
"""Set to `stdin` by a parent that holds the other end."""
GRACE_S = 3.0
"""How long a process may take to flush before it is ended the hard way."""


def hold() -> None:
    """Watch stdin in a daemon thread if the parent asked for it."""
    if os.environ.get(SWITCH) == "stdin":
        threading.Thread(target=_watch, name="lifeline", daemon=True).start()


def _watch() -> None:
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_S)
    os._exit(1)

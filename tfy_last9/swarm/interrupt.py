"""Where a Ctrl-C strikes.

Python's own SIGINT handler raises KeyboardInterrupt in whatever code runs at that moment, under gevent in any
greenlet: also in a user's, between the write of a request and the note that it was written. Locust waits
for the exception in its main greenlet, so that is where it is raised, from the hub, at a switch.
"""

from __future__ import annotations

import signal
from typing import Any

import gevent


def deliver_to_main_greenlet() -> None:
    """Raise the KeyboardInterrupt of a SIGINT in the main greenlet alone; a handler set by others stays."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        gevent.signal_handler(signal.SIGINT, _interrupt)


def _interrupt() -> None:
    hub: Any = gevent.get_hub()
    hub.loop.run_callback(hub.parent.throw, KeyboardInterrupt)

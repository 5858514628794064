"""A worker that waits for its master says so once, and not every five seconds for five minutes as Locust does."""

from __future__ import annotations

import logging

FAILED = "Failed to connect to master "


class OnceWaiting(logging.Filter):
    """Lets Locust's first complaint about an absent master through, in other words, and drops the next ones."""

    def __init__(self) -> None:
        super().__init__()
        self._said = False

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether a record is to be shown."""
        text = record.getMessage()
        if not text.startswith(FAILED):
            return True
        if self._said:
            return False
        self._said = True
        place = text.removeprefix(FAILED).partition(",")[0]
        record.msg = f"nobody answers at {place} yet; trying for five minutes in all"
        record.args = None
        return True


def be_patient() -> None:
    """Filter what Locust says while it looks for its master."""
    logging.getLogger("locust.runners").addFilter(OnceWaiting())

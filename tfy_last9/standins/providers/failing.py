"""Answers that are errors: which fault strikes a request, and the vendor's words for it."""

from __future__ import annotations

from tfy_last9.standins.asgi import Send, send_json
from tfy_last9.standins.faults import FaultSet
from tfy_last9.standins.providers.turn import Turn

ERROR_AFTER_S = 0.03
OVERLOADED, BROKEN, LIMITED = 503, 500, 429


class Failure(Exception):
    """A request that the vendor answers with an error."""

    def __init__(self, status: int, message: str, *, retry_after_s: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after_s = retry_after_s
        """Value of `Retry-After`; None sends no such header."""


def strike(faults: FaultSet, turn: Turn) -> None:
    """Raise the Failure that a fault in force makes of this request, if any."""
    name = turn.vendor.name
    if (down := faults.strike("provider_down", name)) is not None:
        turn.faults.append(str(down))
        raise Failure(OVERLOADED, "The service is overloaded, please retry later.")
    if (limited := faults.strike("provider_429", name)) is not None:
        turn.faults.append(str(limited))
        # Some vendors say how long to wait and some do not: every other refusal does.
        retry_after_s = None if turn.k % 2 else 1
        raise Failure(LIMITED, "Rate limit reached.", retry_after_s=retry_after_s)
    if (failing := faults.strike("provider_errors", name)) is not None:
        turn.faults.append(str(failing))
        status = BROKEN if turn.k % 2 else OVERLOADED
        raise Failure(status, "The service is overloaded, please retry later.")


async def send(turn: Turn, failure: Failure, send: Send) -> None:
    """Answer with the vendor's error body."""
    await turn.until(ERROR_AFTER_S)
    wait = failure.retry_after_s
    headers = () if wait is None else ((b"retry-after", str(wait).encode()),)
    body = turn.vendor.error_body(failure.status, str(failure))
    await send_json(send, failure.status, body, headers)
    turn.status = failure.status

"""Arms that go to different gateways: one driver each, chosen by the call."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tfy_last9.swarm.call import Answer, Call, Driver


class ArmsDriver:
    """A `Driver` made of drivers; arms may share one."""

    def __init__(self, drivers: Mapping[str, Driver]) -> None:
        self._drivers = drivers
        self._distinct = list({id(driver): driver for driver in drivers.values()}.values())

    def send(self, call: Call, answer: Answer) -> None:
        """Send the call to its arm's gateway."""
        assert call.arm is not None
        self._drivers[call.arm].send(call, answer)

    def begin(
        self, call: Call, answer: Answer, then: Callable[[], None]
    ) -> Callable[[], None] | None:
        """Send the call to its arm's gateway without waiting."""
        assert call.arm is not None
        return self._drivers[call.arm].begin(call, answer, then)

    def abort(self) -> None:
        """Give up on every call that is under way."""
        for driver in self._distinct:
            driver.abort()

    def close(self) -> None:
        """Let go of idle connections."""
        for driver in self._distinct:
            driver.close()

"""The spending brake of one worker: what may be sent without any chance to exceed its share.

What an arrival may cost is reserved before it is sent and replaced by what it did cost when that is known.
An answer whose cost nobody tells keeps its reservation: unknown is never nothing.
"""

from __future__ import annotations

from collections.abc import Iterable

from tfy_last9.arrivals.costs import NANO, Amount, Costs, per_worker
from tfy_last9.arrivals.schedule import Arrival
from tfy_last9.model.scenario import Scenario


class Brake:
    """Counts money and tokens; `None` limits nothing."""

    def __init__(self, nano_usd: int | None, tokens: int | None) -> None:
        self._limit = nano_usd, tokens
        self._open: dict[int, Amount] = {}
        self._reserved = Amount()
        self.spent = Amount()
        """As reported."""
        self.unknown = Amount()
        """Kept for answers that told nothing."""
        self.is_spent = False
        """True once something could not be paid for."""

    @property
    def reserved(self) -> Amount:
        """What is in flight, or of unknown cost."""
        return self._reserved.plus(self.unknown)

    def reserve(self, parts: Iterable[tuple[int, Amount]]) -> bool:
        """Reserve the requests of an arrival, by number: all of them or none."""
        wanted = dict(parts)
        total = self.spent.plus(self.reserved)
        for amount in wanted.values():
            total = total.plus(amount)
        if any(
            limit is not None and asked > limit
            for limit, asked in zip(self._limit, total, strict=True)
        ):
            self.is_spent = True
            return False
        for number, amount in wanted.items():
            self._open[number] = amount
            self._reserved = self._reserved.plus(amount)
        return True

    def settle(self, number: int, nano_usd: int | None, tokens: int | None) -> None:
        """Replace a reservation by what was reported; None keeps that part of it."""
        amount = self._take(number)
        self.spent = self.spent.plus(Amount(nano_usd or 0, tokens or 0))
        self.unknown = self.unknown.plus(
            Amount(
                amount.nano_usd if nano_usd is None else 0, amount.tokens if tokens is None else 0
            )
        )

    def release(self, number: int) -> None:
        """Give back what was reserved for a request that was not sent."""
        self._take(number)

    def _take(self, number: int) -> Amount:
        amount = self._open.pop(number, Amount())
        held = self._reserved
        self._reserved = Amount(held.nano_usd - amount.nano_usd, held.tokens - amount.tokens)
        return amount

    def report(self) -> dict[str, float | int | bool]:
        """Return what was spent and is reserved, for those who watch."""
        return {
            "usd": self.spent.usd,
            "tokens": self.spent.tokens,
            "reserved_usd": self.reserved.nano_usd / NANO,
            "reserved_tokens": self.reserved.tokens,
            "is_spent": self.is_spent,
        }


def reserve_arrival(brake: Brake, costs: Costs, arrival: Arrival) -> bool:
    """Reserve an arrival with all its turns."""
    return brake.reserve((arrival.seq + turn, one) for turn, one in enumerate(costs.of(arrival)))


def brake_of(scenario: Scenario, workers: int) -> Brake | None:
    """Return the brake of one of so many workers; None where the scenario sets no budget."""
    money, tokens = per_worker(scenario, workers)
    return None if money is None and tokens is None else Brake(money, tokens)

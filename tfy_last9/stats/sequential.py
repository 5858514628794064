"""Deciding while events still arrive: e-processes, valid at every moment and so for any stopping rule.

An e-process is a bet against the null hypothesis that cannot gain on average while it holds; by Ville's
inequality it ever reaches 1 / alpha with probability at most alpha. Sources: Howard, Ramdas, McAuliffe,
Sekhon, Annals of Statistics 49(2), 2021; Waudby-Smith and Ramdas, arXiv 2010.09686 (betting). All values
are logarithms, so that long runs neither overflow nor underflow.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

WORSE = (1.25, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0, 50.0)
"""Alternatives to "bad share <= budget", as multiples of the budget."""
BETTER = (0.75, 0.5, 0.25, 0.1, 0.01)
"""Alternatives to "bad share >= budget"."""
STAKES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.4)
"""Fractions of the greatest stake that slice betting spreads its capital over."""
EVEN = 0.5
"""Of two arms that are equally bad, each has half of all bad events: the coin that a canary is tested by."""
BOLD_STAKES = (0.1, 0.2, 0.4, 0.8)
"""Fractions for a coin: there is no long wait between two bad events that a careful stake must outlast."""


def log_e_worse(bad: float, total: float, budget: float) -> float:
    """Return log E against "bad share <= budget" after `total` independent events, `bad` of them bad."""
    return _grid(bad, total, budget, WORSE)


def log_e_better(bad: float, total: float, budget: float) -> float:
    """Return log E against "bad share >= budget" after `total` independent events, `bad` of them bad."""
    return _grid(bad, total, budget, BETTER)


def proves(log_e: float, alpha: float) -> bool:
    """Tell whether the null hypothesis may be given up at level `alpha`, now and for good."""
    return log_e >= -math.log(alpha)


class SliceBetting:
    """Bets against "mean bad share of a slice, given the past, <= budget"; bursts inside a slice may be any.

    Slices must be longer than the bursts. No binomial assumption is made within one.
    """

    def __init__(self, budget: float, stakes: Sequence[float] = STAKES) -> None:
        _check(budget)
        self._budget = budget
        self._stakes = tuple(stakes)
        self._log_wealth = [0.0] * len(stakes)
        self._greatest = 0.0

    def take(self, share: float) -> float:
        """Take the bad share of the next slice, in [0, 1]; return log E now."""
        if not 0.0 <= share <= 1.0:
            raise ValueError(f"the bad share of a slice is in [0, 1], got {share}")
        edge = (share - self._budget) / self._budget
        for place, stake in enumerate(self._stakes):
            self._log_wealth[place] += math.log1p(stake * edge)
        self._greatest = max(self._greatest, self.log_e)
        return self.log_e

    @property
    def log_e(self) -> float:
        """Log of the mean wealth over the stakes."""
        return _log_sum(self._log_wealth) - math.log(len(self._stakes))

    @property
    def greatest_log_e(self) -> float:
        """The greatest value so far: a level that was reached once stays proven."""
        return self._greatest


def bet_on_slices(
    shares: Iterable[float], budget: float, stakes: Sequence[float] = STAKES
) -> float:
    """Return the greatest log E of slice betting over `shares` in order."""
    game = SliceBetting(budget, stakes)
    for share in shares:
        game.take(share)
    return game.greatest_log_e


def bet_on_arms(shares: Iterable[float]) -> float:
    """Return the greatest log E against "the canary is no worse", from its shares in slices, in order.

    A share is that of the canary among all bad events of a slice (of equally many requests per arm on
    average), or that of pairs whose canary is slower than the margin allows: the sign test. Both are the
    multinomial test of Lindon and Malek (arXiv 2011.03567) for two arms, betting slice by slice and not event by
    event, so that events may come in bursts: under "no worse" the arms could be exchanged within a slice.
    """
    return bet_on_slices(shares, EVEN, BOLD_STAKES)


def _grid(bad: float, total: float, budget: float, multiples: Sequence[float]) -> float:
    _check(budget)
    if not 0.0 <= bad <= total:
        raise ValueError(f"expected 0 <= bad <= total, got {bad} of {total}")
    shares = [budget * multiple for multiple in multiples if budget * multiple < 1.0]
    if not shares:
        return 0.0
    good = total - bad
    terms = [
        bad * math.log(share / budget) + good * (math.log1p(-share) - math.log1p(-budget))
        for share in shares
    ]
    return _log_sum(terms) - math.log(len(shares))


def _log_sum(logs: Sequence[float]) -> float:
    greatest = max(logs)
    return greatest + math.log(sum(math.exp(value - greatest) for value in logs))


def _check(budget: float) -> None:
    if not 0.0 < budget < 1.0:
        raise ValueError(f"a budget must be in (0, 1), got {budget}")

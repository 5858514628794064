"""What a run may spend, said and checked before it spends anything."""

from __future__ import annotations

from collections.abc import Iterator

from tfy_last9.arrivals.costs import Costs, budget_problems, of_probes, unpriced
from tfy_last9.errors import ConfigurationError
from tfy_last9.model.scenario import Scenario


def checked_budget(usd: float | None) -> float | None:
    """Return what `--budget-usd` says. Raises `ConfigurationError` unless it is an amount above 0."""
    if usd is not None and not (0 < usd < float("inf")):
        raise ConfigurationError(
            f"--budget-usd {usd:g}: expected an amount above 0", hint="such as --budget-usd 2.50"
        )
    return usd


def check_budget(scenario: Scenario, workers: int) -> None:
    """Raise `ConfigurationError` where a budget cannot be kept, or pays for nothing."""
    problems = budget_problems(scenario, workers)
    if problems:
        raise ConfigurationError(
            "the budget cannot be kept, so no load was sent\n"
            + "\n".join(message for message, _ in problems),
            hint="; ".join(dict.fromkeys(hint for _, hint in problems)),
        )


def spending_lines(scenario: Scenario, workers: int) -> Iterator[str]:
    """Yield what the plan costs at worst, and what the budget will do about it."""
    limits = scenario.limits
    without = unpriced(scenario)
    if limits.usd is None and limits.tokens is None:
        return
    worst = Costs(scenario).planned().plus(of_probes(scenario))
    text = f"at worst this run costs {worst.usd:.4f} USD and {worst.tokens:,} tokens"
    if without:
        text += f", and what {', '.join(without)} cost: without a price, USD do not bound them"
    caps = [] if limits.usd is None else [f"{limits.usd:g} USD"]
    caps += [] if limits.tokens is None else [f"{limits.tokens:,} tokens"]
    short = limits.usd is not None and worst.usd > limits.usd
    short = short or (limits.tokens is not None and worst.tokens > limits.tokens)
    yield (
        f"{text}; the budget is {' and '.join(caps)}"
        + (f", split over {workers} workers" if workers > 1 else "")
        + ("; it may end the run before its schedule" if short else "")
    )

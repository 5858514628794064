"""What answers cost, as far as they tell, and what all workers spent together."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tfy_last9.arrivals.costs import is_free_of_output, nano, priced
from tfy_last9.arrivals.schedule import planned
from tfy_last9.model.scenario import Scenario, Target
from tfy_last9.swarm.call import Answer


def cost_of(target: Target, answer: Answer) -> tuple[int | None, int | None]:
    """Return nano-USD and tokens of an answer; None for what it does not tell.

    The gateway's own figure (`usage.costInUSD`) wins over tokens times price. A request that never left
    this machine cost nothing; one that failed without a word on usage may have cost anything.
    """
    if not answer.written:
        return 0, 0
    facts = answer.facts
    output = facts.output_tokens
    if output is None and is_free_of_output(target):
        output = 0
    known = facts.input_tokens is not None and output is not None
    own = priced(target.price, facts.input_tokens or 0, output or 0) if known else None
    tokens = None if own is None else own.tokens
    if facts.cost_usd is not None:
        return nano(facts.cost_usd), tokens
    if target.price is None or own is None:
        return None, tokens
    return own.nano_usd, tokens


def total_spending(told: Iterable[dict[str, Any]]) -> dict[str, Any] | None:
    """Return the sum over workers; None where nobody counts."""
    parts = list(told)
    if not parts:
        return None
    names = ("usd", "tokens", "reserved_usd", "reserved_tokens")
    sums: dict[str, Any] = {name: sum(part[name] for part in parts) for name in names}
    return sums | {"is_spent": any(part["is_spent"] for part in parts)}


def budget_stop(
    scenario: Scenario, spending: dict[str, Any] | None, offered: int
) -> dict[str, Any] | None:
    """Return why a run ended before its schedule; None where no budget ended it."""
    if spending is None or not spending["is_spent"]:
        return None
    saved = planned(scenario).total() - offered
    limits = scenario.limits
    parts = []
    if limits.usd is not None:
        parts.append(
            f"of {limits.usd:g} USD {spending['usd']:.6f} are spent and {spending['reserved_usd']:.6f}"
            " kept for answers that told no cost"
        )
    if limits.tokens is not None:
        parts.append(
            f"of {limits.tokens:,} tokens {spending['tokens']:,} are spent and"
            f" {spending['reserved_tokens']:,} kept for answers that told no usage"
        )
    text = (
        f"stopped by the budget: {'; '.join(parts)}; the next request could have exceeded it,"
        f" so {saved:,} of {offered + saved:,} requests were not sent"
    )
    tokens = round(saved * spending["tokens"] / offered) if offered else 0
    return {"message": text, "requests_saved": saved, "tokens_saved": tokens}

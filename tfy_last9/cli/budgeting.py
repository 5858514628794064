"""What a run may spend, said and checked before it spends anything."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from tfy_last9.arrivals.costs import Costs, of_probes, unpriced
from tfy_last9.errors import ConfigurationError
from tfy_last9.model.scenario import Limits, Scenario


def checked_budget(usd: float | None) -> float | None:
    """Return what `--budget-usd` says. Raises `ConfigurationError` unless it is an amount above 0."""
    if usd is not None and not (0 < usd < float("inf")):
        raise ConfigurationError(
            f"--budget-usd {usd:g}: expected an amount above 0", hint="such as --budget-usd 2.50"
        )
    return usd


def limited(limits: Limits, usd: float | None, *, rehearses: bool) -> Limits:
    """Apply `--budget-usd`; a rehearsal of failures stops no target, unless the scenario says when to."""
    if usd is not None:
        limits = replace(limits, usd=usd)
    if rehearses and limits.stop_after_failures is None:
        limits = replace(limits, stop_after_failures=0)
    return limits


def spending_text(spending: Mapping[str, Any], limits: Limits) -> str:
    """Return what a run under a budget has spent and reserved so far, and its limits."""
    usd, tokens = _caps(limits)
    return (
        f"spent {spending['usd']:.4f}{usd} USD and {spending['tokens']:,}{tokens} tokens"
        f" (reserved {spending['reserved_usd']:.4f} USD, {spending['reserved_tokens']:,} tokens)"
    )


def used_up(spending: Mapping[str, Any], limits: Limits) -> tuple[float, float]:
    """Return the shares of the budget that are spent, and spent or reserved; of the tighter limit."""
    shares = [
        (spending[name] / limit, (spending[name] + spending[f"reserved_{name}"]) / limit)
        for name, limit in (("usd", limits.usd), ("tokens", limits.tokens))
        if limit is not None
    ]
    return max(shares, key=lambda share: share[1], default=(0.0, 0.0))


def _caps(limits: Limits) -> tuple[str, str]:
    usd = "" if limits.usd is None else f" of {limits.usd:g}"
    return usd, "" if limits.tokens is None else f" of {limits.tokens:,}"


def cost_lines(scenario: Scenario) -> Iterator[str]:
    """Yield the worst case of a plan, and whom it leaves out; nothing where no target has a price."""
    without = unpriced(scenario)
    if len(without) < len(scenario.targets):
        yield f"at worst {_worst(scenario)}"


def spending_lines(scenario: Scenario, workers: int) -> Iterator[str]:
    """Yield what the plan costs at worst, and what the budget will do about it."""
    limits, worst = scenario.limits, Costs(scenario).planned().plus(of_probes(scenario))
    if limits.usd is None and limits.tokens is None:
        yield from cost_lines(scenario)
        return
    caps = [] if limits.usd is None else [f"{limits.usd:g} USD"]
    caps += [] if limits.tokens is None else [f"{limits.tokens:,} tokens"]
    short = limits.usd is not None and worst.usd > limits.usd
    short = short or (limits.tokens is not None and worst.tokens > limits.tokens)
    yield (
        f"at worst {_worst(scenario)}; the budget is {' and '.join(caps)}"
        + (f", split over {workers} workers" if workers > 1 else "")
        + ("; it may end the run before its schedule" if short else "")
    )


def _worst(scenario: Scenario) -> str:
    worst = Costs(scenario).planned().plus(of_probes(scenario))
    text = f"{worst.usd:.4f} USD and {worst.tokens:,} tokens, preflight included"
    without = unpriced(scenario)
    return f"{text}, beside the USD of {', '.join(without)} (no price)" if without else text

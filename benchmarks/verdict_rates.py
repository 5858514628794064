"""How often the judge is wrong, by simulation with its own code. Seeded: the same numbers every time.

    python benchmarks/verdict_rates.py            # about five minutes; Markdown on stdout
    python benchmarks/verdict_rates.py --runs 200 # quicker and coarser

The tables stand in docs/statistics.md. With 1,000 runs a rate of 5 % is known to about 1.4 points.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from tfy_last9.judge.canary import compare_alone
from tfy_last9.judge.decide import decide
from tfy_last9.judge.multiplicity import adjusted_p_values, claims_of
from tfy_last9.model.canary import ArmCounts, ArmTally, Latencies, Steps
from tfy_last9.model.objective import Book, Objective, Operator, Population, Threshold
from tfy_last9.model.scenario import Arm, Arms
from tfy_last9.model.verdict import SEVERITY, Slices, State, Tally
from tfy_last9.stats.binomial import lower_bound, required_n, upper_bound
from tfy_last9.stats.effect import slice_size
from tfy_last9.stats.planned_looks import confidence_per_look
from tfy_last9.stats.sequential import bet_on_slices, log_e_worse, proves
from tfy_last9.stats.shift import STEP

Events = NDArray[np.bool_]
SEED = 20261123
BURST = 5
CONFIDENCE = 0.95
ALPHA = 0.05
PRECISE = 10
"""So many times the runs where the promise is a rate of at most 5 %."""
ARMS = Arms(Arm("baseline"), Arm("canary"))
SHOWN = (State.PASS, State.WARN, State.INCONCLUSIVE, State.FAIL)


def objective(budget: float, confidence: float = CONFIDENCE, name: str = "slo") -> Objective:
    indicator = Threshold(Population(Book.LEDGER, None), "total_ms", Operator.LTE, 1000.0)
    target = 1.0 - budget
    return Objective(name, name, "s", indicator, target, (), True, confidence, "slo.yaml", 1)


def independent(dice: np.random.Generator, n: int, share: float) -> Events:
    return dice.random(n) < share


def in_bursts(dice: np.random.Generator, n: int, share: float) -> Events:
    """Two-state Markov chain: bursts of mean length 5, `share` of all events bad."""
    begin = share / (BURST * (1.0 - share))
    events = np.zeros(n, dtype=np.bool_)
    bad, at = bool(dice.random() < share), 0
    while at < n:
        length = int(dice.geometric(1.0 / BURST if bad else begin))
        if bad:
            events[at : at + length] = True
        bad, at = not bad, at + length
    return events


def tally(events: Events) -> Tally:
    """Reduce as the run folder's SQL does."""
    n, bad = len(events), int(events.sum())
    slices = None
    if 2 <= bad < n:
        size = slice_size(n)
        per_slice = events[: n // size * size].reshape(-1, size).sum(axis=1)
        squares = int((per_slice**2).sum())
        slices = Slices(size, len(per_slice), int(per_slice.sum()), squares)
    return Tally((), True, n, bad, 0, None, (), slices=slices)


def shares(states: Counter[State], runs: int) -> str:
    return " | ".join(f"{100 * states[state] / runs:.1f}" for state in SHOWN)


def rows_decisions(dice: np.random.Generator, runs: int) -> Iterator[str]:
    yield "| events | budget | n | true share / budget | PASS % | WARN % | INCONCLUSIVE % | FAIL % |"
    yield "|---|---|---|---|---|---|---|---|"
    cases = [
        (name, draw, budget, n, ratio)
        for name, draw, ratios in (
            ("independent", independent, (0.25, 0.5, 1.0, 2.0)),
            ("bursts of 5", in_bursts, (0.25, 0.5, 1.0, 2.0)),
        )
        for budget, n in ((0.05, 1000), (0.01, 1000), (0.01, 5000))
        for ratio in ratios
    ]
    cases.insert(0, ("independent", independent, 0.01, 100, 2.0))
    for name, draw, budget, n, ratio in cases:
        one = objective(budget)
        times = PRECISE * runs if draw is independent and ratio == 1.0 else runs
        states = Counter(
            decide(one, tally(draw(dice, n, ratio * budget))).state for _ in range(times)
        )
        yield f"| {name} | {100 * budget:g} % | {n} | {ratio:g} | {shares(states, times)} |"


def rows_plain(dice: np.random.Generator, runs: int) -> Iterator[str]:
    yield "| bursts of 5 at the budget | n | plain bounds: false FAIL % | discounted: false FAIL % |"
    yield "|---|---|---|---|"
    for budget, n in ((0.05, 1000), (0.01, 1000), (0.01, 5000)):
        plain = discounted = 0
        for _ in range(runs):
            found = tally(in_bursts(dice, n, budget))
            plain += lower_bound(found.bad, n, ALPHA) > budget
            discounted += decide(objective(budget), found).state is State.FAIL
        plain_rate, rate = 100 * plain / runs, 100 * discounted / runs
        yield f"| {100 * budget:g} % | {n} | {plain_rate:.1f} | {rate:.1f} |"


def rows_family(dice: np.random.Generator, runs: int) -> Iterator[str]:
    yield "| objectives, all exactly at 5 % | each alone: run FAIL % | with Holm: run FAIL % |"
    yield "|---|---|---|"
    for count in (1, 10, 50):
        claims = [objective(0.05, name=f"slo{i}") for i in range(count)]
        alone = among = 0
        for _ in range(runs):
            tallies = [tally(independent(dice, 1000, 0.05)) for _ in claims]
            pairs = list(zip(claims, tallies, strict=True))
            adjusted = adjusted_p_values(c for one, t in pairs for c in claims_of(one, [t]))
            alone += any(decide(one, t).state is State.FAIL for one, t in pairs)
            among += any(
                decide(one, t, adjusted[one.name, ()]).state is State.FAIL for one, t in pairs
            )
        yield f"| {count} | {100 * alone / runs:.1f} | {100 * among / runs:.1f} |"


def rows_early(dice: np.random.Generator, runs: int) -> Iterator[str]:
    yield (
        "| events | true share / budget 1 % | plain threshold, each 50: aborts % |"
        " grid e-process: aborts % | slice betting (ours): aborts % | median requests |"
    )
    yield "|---|---|---|---|---|---|"
    n, size, budget = 5000, 50, 0.01
    for name, draw in (("independent", independent), ("bursts of 5", in_bursts)):
        for ratio in (0.5, 1.0, 2.0, 3.0, 5.0):
            plain = grid = betting = 0
            stops = []
            for _ in range(runs):
                per_slice = draw(dice, n, ratio * budget).reshape(-1, size).sum(axis=1)
                bad, sent = np.cumsum(per_slice), np.arange(1, n // size + 1) * size
                plain += bool((bad > budget * sent).any())
                grid += any(
                    proves(log_e_worse(int(k), int(m), budget), ALPHA)
                    for k, m in zip(bad, sent, strict=True)
                )
                stop = _betting_stop(per_slice / size, budget)
                betting += stop is not None
                stops += [] if stop is None else [stop * size]
            rates = " | ".join(f"{100 * count / runs:.1f}" for count in (plain, grid, betting))
            middle = f"{np.median(stops):.0f}" if len(stops) > runs / 20 else "-"
            yield f"| {name} | {ratio:g} | {rates} | {middle} |"


def _betting_stop(found: NDArray[np.float64], budget: float) -> int | None:
    if not proves(bet_on_slices(found, budget), ALPHA):
        return None
    low, high = 1, len(found)
    while low < high:
        middle = (low + high) // 2
        reached = proves(bet_on_slices(found[:middle], budget), ALPHA)
        low, high = (low, middle) if reached else (middle + 1, high)
    return low


def rows_looks(dice: np.random.Generator, runs: int) -> Iterator[str]:
    yield (
        "| looks K | at the budget, alpha each look: PASS % | at the budget, alpha / K: PASS % |"
        " at half the budget, alpha / K: PASS % | mean requests |"
    )
    yield "|---|---|---|---|---|"
    for looks in (1, 2, 5, 10):
        careful = 1.0 - confidence_per_look(CONFIDENCE, looks)
        plain, _ = _extended(dice, runs, 0.01, looks, ALPHA)
        false, _ = _extended(dice, runs, 0.01, looks, careful)
        right, sent = _extended(dice, runs, 0.005, looks, careful)
        yield f"| {looks} | {plain:.1f} | {false:.1f} | {right:.1f} | {sent:.0f} |"


def _extended(
    dice: np.random.Generator, runs: int, share: float, looks: int, alpha: float
) -> tuple[float, float]:
    """Return PASS % and mean requests for a p99 claim: 300, then exactly what is missing each time."""
    passed = total = 0
    for _ in range(runs):
        n, bad = 0, 0
        for look in range(looks):
            more = 300 if look == 0 else required_n(0.01, bad, alpha) - n
            bad, n = bad + int(dice.binomial(more, share)), n + more
            if upper_bound(bad, n, alpha) <= 0.01:
                passed += 1
                break
            if lower_bound(bad, n, alpha) > 0.01:
                break
        total += n
    return 100 * passed / runs, total / runs


def steps(values: NDArray[np.float64]) -> Steps:
    found = Counter(int(step) for step in np.round(np.log(values) / STEP))
    return tuple(sorted(found.items()))


def arm_state(
    dice: np.random.Generator,
    n: int,
    worse: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    *,
    is_paired: bool,
) -> tuple[State, State]:
    """Return the state of the typical latency alone, and of the comparison as a whole."""
    prompts = dice.lognormal(6.0, 0.6, n)
    other = prompts if is_paired else dice.lognormal(6.0, 0.6, n)
    baseline = prompts * dice.lognormal(0.0, 0.2, n)
    canary = worse(other * dice.lognormal(0.0, 0.2, n))
    limit = np.exp(6.0) * 6.0
    slow = [int((arm > limit).sum()) for arm in (baseline, canary)]
    differences = Counter(
        int(c) - int(b)
        for b, c in zip(
            np.round(np.log(baseline) / STEP), np.round(np.log(canary) / STEP), strict=True
        )
    )
    pairs = tuple(sorted(differences.items())) if is_paired else ()
    times = Latencies("total_ms", steps(baseline), steps(canary), pairs)
    counts = [ArmCounts(n, 0, n, bad, 0, 0) for bad in slow]
    found = compare_alone([ArmTally("p", counts[0], counts[1], (times,), "slow")], ARMS)
    whole = max((one.state for one in found), key=SEVERITY.__getitem__)
    return found[0].state, whole


def rows_canary(dice: np.random.Generator, runs: int) -> Iterator[str]:
    yield "| arms | n per arm | truth | claim | PASS % | WARN % | INCONCLUSIVE % | FAIL % |"
    yield "|---|---|---|---|---|---|---|---|"

    def scaled(factor: float) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
        return lambda values: values * factor

    def tail(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return values * np.where(dice.random(len(values)) < 0.02, 10.0, 1.0)

    cases = [
        (is_paired, 200, truth, worse, 0, "canary-total")
        for is_paired in (True, False)
        for truth, worse in (("no difference", scaled(1.0)), ("+20 %", scaled(1.2)))
    ]
    cases += [
        (True, n, "2 % ten times slower", tail, 1, "whole comparison") for n in (200, 1000, 3000)
    ]
    for is_paired, n, truth, worse, place, claim in cases:
        states = Counter(arm_state(dice, n, worse, is_paired=is_paired)[place] for _ in range(runs))
        how = "paired" if is_paired else "unpaired"
        yield f"| {how} | {n} | {truth} | {claim} | {shares(states, runs)} |"


TABLES = {
    "Fixed samples": rows_decisions,
    "What bursts do to plain bounds": rows_plain,
    "Many objectives": rows_family,
    "Stopping early": rows_early,
    "Planned looks": rows_looks,
    "Canary": rows_canary,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--runs", type=int, default=1000, help="simulated runs per row")
    runs = parser.parse_args().runs
    print(f"{runs} simulated runs per row, seed {SEED}\n")
    for place, (title, rows) in enumerate(TABLES.items()):
        print(f"### {title}\n")
        for row in rows(np.random.default_rng([SEED, place]), runs):
            print(row, flush=True)
        print()


if __name__ == "__main__":
    main()

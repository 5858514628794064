"""How often looks that were planned, at arms or in retried runs, are wrong. Seeded, with the judge's own code.

    python benchmarks/sequential_rates.py            # about two minutes; Markdown on stdout

The tables stand in docs/statistics.md.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray
from verdict_rates import ALPHA, Events, in_bursts, independent, objective, tally

from tfy_last9.adapters.runfolder.arm_bets import PAIRS, REQUESTS
from tfy_last9.judge.canary import compare_alone
from tfy_last9.judge.decide import decide
from tfy_last9.judge.looks import arms_at_each_look
from tfy_last9.judge.planned import left_open
from tfy_last9.judge.retries import pooled
from tfy_last9.judge.strength import measure
from tfy_last9.model.canary import ArmCounts, ArmTally, Latencies
from tfy_last9.model.run import EarlierCounts, Retry
from tfy_last9.model.scenario import Arm, Arms, OnInconclusive, Policy
from tfy_last9.model.verdict import State, Tally
from tfy_last9.stats.planned_looks import confidence_per_look
from tfy_last9.stats.sequential import EVEN, bet_on_arms, log_e_worse, proves
from tfy_last9.stats.shift import STEP

SEED = 20261125
N = 2000
"""Pairs, or requests per arm."""
LOOKS = 5
PER_LOOK = 500
"""Mirrored pairs in each stretch of a run that is extended."""
ARMS = arms_at_each_look(
    Arms(Arm("baseline"), Arm("canary"), mirror=True), Policy(OnInconclusive.EXTEND, looks=LOOKS)
)
ORDER = (State.PASS, State.WARN, State.INCONCLUSIVE, State.FAIL)
Draw = Callable[[np.random.Generator, int, float], Events]


def rows_arms(dice: np.random.Generator, runs: int) -> Iterator[str]:
    yield (
        "| claim | events | truth | event by event: FAIL % | slices (ours): FAIL % |"
        " median requests per arm |"
    )
    yield "|---|---|---|---|---|---|"
    draws: tuple[tuple[str, Draw], ...] = (("independent", independent), ("bursts of 5", in_bursts))
    for name, draw in draws:
        for canary in (0.01, 0.02, 0.05):
            found = [_errors(dice, draw, 0.01, canary) for _ in range(runs)]
            truth = f"1 % and {100 * canary:g} %"
            yield f"| canary-errors | {name} | {truth} | {_shown(found)} |"
    for name, spell in (("independent", 1), ("slow spells of 5", 5)):
        for ratio in (1.0, 1.1, 1.2):
            found = [_latencies(dice, ratio, spell) for _ in range(runs)]
            truth = f"{100 * (ratio - 1):+.0f} %, margin 10 %"
            yield f"| canary-total, paired | {name} | {truth} | {_shown(found)} |"


def _errors(
    dice: np.random.Generator, draw: Draw, share: float, other: float
) -> tuple[bool, int | None]:
    """Return whether counting event by event fails, and after how many requests slices do."""
    baseline, canary = draw(dice, N, share), draw(dice, N, other)
    labels = np.stack([baseline, canary], axis=1).reshape(-1)
    arms = np.tile([False, True], N)[labels]
    per_slice = labels.reshape(-1, REQUESTS).sum(axis=1)
    of_canary = canary.reshape(-1, REQUESTS // 2).sum(axis=1)
    seen = per_slice > 0
    shares = of_canary[seen] / per_slice[seen]
    places = np.flatnonzero(seen)
    stop = _stop(shares)
    return _by_event(arms), None if stop is None else int(places[stop - 1] + 1) * REQUESTS // 2


def _latencies(dice: np.random.Generator, ratio: float, spell: int) -> tuple[bool, int | None]:
    """Pairs whose log differences scatter around `ratio`; in spells of so many pairs they go together."""
    scatter = np.repeat(dice.normal(0.0, 0.2 * np.sqrt(2.0), N // spell), spell)
    signs = np.log(ratio) + scatter > np.log(1.1)
    stop = _stop(signs.reshape(-1, PAIRS).mean(axis=1))
    return _by_event(signs), None if stop is None else stop * PAIRS


def _by_event(labels: Events) -> bool:
    bad = np.cumsum(labels)
    return any(proves(log_e_worse(int(k), n, EVEN), ALPHA) for n, k in enumerate(bad, 1))


def _stop(shares: NDArray[np.float64]) -> int | None:
    if not proves(bet_on_arms(shares), ALPHA):
        return None
    return next(n for n in range(1, len(shares) + 1) if proves(bet_on_arms(shares[:n]), ALPHA))


def _shown(found: list[tuple[bool, int | None]]) -> str:
    stops = [stop for _, stop in found if stop is not None]
    by_event = 100 * sum(failed for failed, _ in found) / len(found)
    middle = f"{np.median(stops):.0f}" if len(stops) > len(found) / 20 else "-"
    return f"{by_event:.1f} | {100 * len(stops) / len(found):.1f} | {middle}"


def rows_arm_looks(dice: np.random.Generator, runs: int) -> Iterator[str]:
    yield "| errors, latency of the canary | PASS or WARN % | FAIL % | undecided % | mean pairs |"
    yield "|---|---|---|---|---|"
    truths = (
        ("0.5 % and 0.5 %, +0 %", 0.005, 1.0),
        ("0.5 % and 0.5 %, +10 % (at the margin)", 0.005, 1.1),
        ("0.5 % and 1.5 % (at the margin), +0 %", 0.015, 1.0),
        ("0.5 % and 0.5 %, +20 %", 0.005, 1.2),
    )
    for name, errors, ratio in truths:
        found = [_looked(dice, errors, ratio) for _ in range(runs)]
        good = sum(state in (State.PASS, State.WARN) for state, _ in found)
        bad = sum(state is State.FAIL for state, _ in found)
        shown = " | ".join(f"{100 * count / runs:.1f}" for count in (good, bad, runs - good - bad))
        yield f"| {name} | {shown} | {np.mean([pairs for _, pairs in found]):.0f} |"


def _looked(dice: np.random.Generator, errors: float, ratio: float) -> tuple[State, int]:
    """Return how mirrored arms end that are looked at after each stretch, and after how many pairs."""
    most = PER_LOOK * LOOKS
    differences = np.log(ratio) + dice.normal(0.0, 0.2 * np.sqrt(2.0), most)
    bad = {"baseline": independent(dice, most, 0.005), "canary": independent(dice, most, errors)}
    for pairs in range(PER_LOOK, most + 1, PER_LOOK):
        tally_ = _arm_tally(
            differences[:pairs], {arm: int(b[:pairs].sum()) for arm, b in bad.items()}
        )
        if pairs == most or not left_open((), {}, ARMS, [tally_]):
            break
    states = [finding.state for finding in compare_alone([tally_], ARMS)]
    return max(states, key=ORDER.index), pairs


def _arm_tally(differences: NDArray[np.float64], bad: dict[str, int]) -> ArmTally:
    pairs = len(differences)
    steps, counts = np.unique(np.rint(differences / STEP).astype(int), return_counts=True)
    paired = tuple(zip(steps.tolist(), counts.tolist(), strict=True))
    each = ((0, pairs),)
    baseline, canary = (
        ArmCounts(pairs, bad[arm], pairs, 0, 0, 0) for arm in ("baseline", "canary")
    )
    latencies = Latencies("total_ms", each, each, paired)
    return ArmTally("openai", baseline, canary, (latencies,), "beyond 6 s")


def rows_retries(dice: np.random.Generator, runs: int) -> Iterator[str]:
    yield (
        "| retries | events | true share / budget 5 % | run again until decided: PASS % |"
        " planned (ours): PASS or WARN % | FAIL % | undecided % |"
    )
    yield "|---|---|---|---|---|---|---|"
    draws: tuple[tuple[str, Draw], ...] = (("independent", independent), ("bursts of 5", in_bursts))
    for retries in (0, 1, 3):
        for name, draw in draws:
            for ratio in (0.5, 1.0, 2.0):
                times = runs * (5 if ratio == 1.0 else 1)
                naive = sum(_naive(dice, draw, ratio, retries) for _ in range(times))
                states = [_retried(dice, draw, ratio, retries) for _ in range(times)]
                good = sum(state in (State.PASS, State.WARN) for state in states)
                rates = (good, states.count(State.FAIL), states.count(State.INCONCLUSIVE))
                shown = " | ".join(f"{100 * count / times:.1f}" for count in (naive, *rates))
                yield f"| {retries} | {name} | {ratio:g} | {shown} |"


def _naive(dice: np.random.Generator, draw: Draw, ratio: float, retries: int) -> bool:
    for _ in range(1 + retries):
        state = decide(objective(0.05), tally(draw(dice, 400, 0.05 * ratio))).state
        if state is not State.INCONCLUSIVE:
            return state is not State.FAIL
    return False


def _retried(dice: np.random.Generator, draw: Draw, ratio: float, retries: int) -> State:
    one = objective(0.05, confidence_per_look(0.95, 1 + retries))
    retry, state = None, State.INCONCLUSIVE
    for _ in range(1 + retries):
        own = tally(draw(dice, 400, 0.05 * ratio))
        whole: Tally = pooled([one], {one.name: (own,)}, retry)[one.name][0]
        state = decide(one, whole).state
        if state is not State.INCONCLUSIVE:
            break
        deff = measure(whole, 0.5, 0.5).deff
        counts = EarlierCounts(one.name, (), whole.total, whole.bad, 0, 0, deff)
        retry = Retry((), (counts,))
    return state


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--runs", type=int, default=1000, help="simulated runs per row")
    runs = parser.parse_args().runs
    print(f"{runs} simulated runs per row, seed {SEED}\n")
    tables = {
        "Arms while they run": rows_arms,
        "Retries": rows_retries,
        "Planned looks at arms": rows_arm_looks,
    }
    for place, (title, rows) in enumerate(tables.items()):
        print(f"### {title}\n")
        for row in rows(np.random.default_rng([SEED, place]), runs):
            print(row, flush=True)
        print()


if __name__ == "__main__":
    main()

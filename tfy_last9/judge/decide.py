"""One objective in one group: counts to a finding.

Three-way decision from two one-sided exact bounds on the bad share: PASS needs the upper bound inside
the budget, FAIL the lower bound outside; in between nothing is proven (Clopper-Pearson; MLPerf's early
stopping uses the same rule). Events that come in bursts count as fewer, and a FAIL must also hold among
all critical objectives (Holm). A census counts everything there is and compares without bounds.
"""

from __future__ import annotations

import math
from dataclasses import replace

from tfy_last9.judge import phrases
from tfy_last9.judge.strength import Strength, alpha_of, measure, requests_missing
from tfy_last9.model.objective import Completeness, Objective, reads_last9
from tfy_last9.model.verdict import Finding, State, Tally, group_text
from tfy_last9.stats.hypergeometric import lower_bound, upper_bound

WARN_SHARE = 0.8
"""A PASS whose observed share uses more of the budget than this is a WARN."""
WARN_DEFF = 2.0
"""A PASS whose events count as fewer than half is a WARN: their bursts deserve a look."""


def decide(objective: Objective, tally: Tally, adjusted_p: float | None = None) -> Finding:
    """Return the finding of one group; `adjusted_p` is its p-value among all critical objectives."""
    fault = _fault(tally)
    if fault is not None:
        return finding_of(objective, tally, State.ERROR, fault)
    if 0 < tally.excluded == tally.inapplicable and tally.total == 0:
        return finding_of(objective, tally, State.INFO, _not_applicable(objective, tally))
    if tally.total == 0 or (objective.is_census and tally.bad == tally.total):
        return finding_of(objective, tally, State.NO_DATA, _silence(objective, tally))
    if objective.is_census:
        return _census(objective, tally)
    return _bounded(objective, tally, adjusted_p)


def not_configured(objective: Objective) -> Finding:
    """Return the finding of an objective that needs Last9 in a run that does without."""
    nothing = Tally((), expected=True, total=0, bad=0, excluded=0, quantile=None, exemplars=())
    message = "needs traces in Last9; this run was judged from the client's ledger only"
    return finding_of(objective, nothing, State.NOT_CONFIGURED, message)


def without_ledger(objective: Objective) -> Finding:
    """Return the finding of an objective that needs the client's half of the story in production mode."""
    nothing = Tally((), expected=True, total=0, bad=0, excluded=0, quantile=None, exemplars=())
    message = "needs a client's ledger; live traces alone do not tell it"
    return finding_of(objective, nothing, State.NOT_CONFIGURED, message)


def not_counted(objective: Objective) -> Finding:
    """Return the finding of an objective for which not even a group was found."""
    nothing = Tally((), expected=True, total=0, bad=0, excluded=0, quantile=None, exemplars=())
    message = f"nothing to judge: no {phrases.noun(objective)} in any group"
    return finding_of(objective, nothing, State.NO_DATA, message)


def needs_last9(objective: Objective) -> bool:
    """Tell whether an objective cannot be judged from the ledger alone."""
    return reads_last9(objective.indicator)


def _census(objective: Objective, tally: Tally) -> Finding:
    if tally.population is not None and tally.population > tally.total:
        return _sampled(objective, tally, tally.population)
    allowed = phrases.budget(objective)
    share = tally.bad / tally.total
    message = f"{_observed(objective, tally)} (budget {phrases.percent(allowed)})"
    state = State.PASS if share <= allowed else State.FAIL
    return finding_of(objective, tally, state, message)


def _sampled(objective: Objective, tally: Tally, everything: int) -> Finding:
    """Judge a census of which only a random sample was looked up (hypergeometric bounds)."""
    allowed, alpha = phrases.budget(objective), alpha_of(objective)
    most = upper_bound(everything, tally.total, tally.bad, alpha)
    least = lower_bound(everything, tally.total, tally.bad, alpha)
    low, high = least / everything, most / everything
    state = State.INCONCLUSIVE
    if high <= allowed:
        state = State.PASS
    elif low > allowed:
        state = State.FAIL
    proven = f"of all {everything:,} {_proven(state, low, high, objective.confidence)}"
    message = f"{_observed(objective, tally)}, a random sample (budget {phrases.percent(allowed)}, {proven})"
    found = finding_of(objective, tally, state, message, bounds=(low, high))
    return replace(found, confidence=objective.confidence)


def _bounded(objective: Objective, tally: Tally, adjusted_p: float | None) -> Finding:
    allowed, alpha = phrases.budget(objective), alpha_of(objective)
    found = measure(tally, allowed, alpha)
    p_fail = found.p_fail if adjusted_p is None else adjusted_p
    state, notes, needed = State.PASS, [], None
    if found.low > allowed and p_fail <= alpha:
        state = State.FAIL
    elif found.high > allowed:
        state = State.INCONCLUSIVE
        needed = requests_missing(found, tally.total, allowed, alpha)
        notes.append(f"needs {needed:,} more good {phrases.noun(objective)} to pass")
        if found.low > allowed:
            notes.append(_spared(found.p_fail, p_fail, alpha))
    elif tally.turned_away > tally.total:
        state = State.INCONCLUSIVE
        notes.append(
            f"{tally.turned_away:,} that failed have no such value: the few that were served say"
            " nothing about the rest"
        )
    else:
        notes += _doubts(allowed, tally, found)
        state = State.WARN if notes else State.PASS
    proven = _proven(state, found.low, found.high, objective.confidence)
    message = f"{_observed(objective, tally)} (budget {phrases.percent(allowed)}, {proven})"
    if tally.quantile is not None:
        where = " in this run" if tally.earlier else ""
        message += f"; {phrases.quantile(tally.quantile)}{where}"
    if found.deff > 1.0:
        message += f"; {_bursts(found)}"
    if state is State.INCONCLUSIVE and tally.may_be_silent:
        state, needed = State.WARN, None
        notes.append("undecided; only a standby, of which no evidence is owed")
    made = finding_of(
        objective,
        tally,
        state,
        "; ".join([message, *notes]),
        bounds=(found.low, found.high),
        needed=needed,
    )
    return replace(made, design_effect=found.deff, p_fail=found.p_fail, p_fail_adjusted=adjusted_p)


def _bursts(found: Strength) -> str:
    deff = phrases.significant(found.deff)
    return f"bad ones come in bursts (design effect {deff}), counted as {found.total:,.0f} events"


def _spared(p: float, adjusted_p: float, alpha: float) -> str:
    """Say why a bound beyond the budget is no FAIL: among many objectives one is bound to look bad."""
    shown = f"p = {phrases.significant(p)}, {phrases.significant(adjusted_p)} among all objectives"
    return f"not enough for a FAIL ({shown}; at most {phrases.significant(alpha)} needed)"


def _doubts(allowed: float, tally: Tally, found: Strength) -> list[str]:
    """Return why a proven PASS deserves a second look."""
    doubts = []
    used = tally.bad / tally.total / allowed
    if used > WARN_SHARE:
        doubts.append(f"uses {phrases.percent(used)} of the budget")
    if tally.excluded - tally.inapplicable > tally.total:
        doubts.append("more events were excluded than counted")
    if found.deff > WARN_DEFF:
        doubts.append("bursts make the proof weaker than the count suggests")
    return doubts


def _proven(state: State, low: float, high: float, confidence: float) -> str:
    sure = f"with {phrases.percent(confidence)} confidence"
    if state is State.FAIL:
        return f"at least {phrases.percent(low)} {sure}"
    if state is State.INCONCLUSIVE:
        return f"between {phrases.percent(low)} and {phrases.percent(high)}, each {sure}"
    return f"at most {phrases.percent(high)} {sure}"


def _observed(objective: Objective, tally: Tally) -> str:
    share = phrases.percent(tally.bad / tally.total)
    counted = f"{tally.total:,} {phrases.noun(objective)}"
    text = f"{share} of {counted} {phrases.bad_words(objective)}"
    if tally.earlier:
        text += f", {tally.earlier:,} of them in earlier looks"
    return f"{text}, {tally.excluded:,} excluded" if tally.excluded else text


def _not_applicable(objective: Objective, tally: Tally) -> str:
    sent = f"none of {tally.excluded:,} {phrases.noun(objective)} can have this value"
    return f"not applicable: {sent} (embeddings have no first token, a whole answer has no gaps)"


def _silence(objective: Objective, tally: Tally) -> str:
    if isinstance(objective.indicator, Completeness):
        if tally.total == 0:
            return "no trace was expected, so completeness proves nothing"
        return f"not one of {tally.total:,} expected traces is complete in Last9"
    if tally.excluded:
        excluded = f"all {tally.excluded:,} {phrases.noun(objective)} were excluded"
        return f"no value to judge: {excluded} (they carry no such value)"
    if needs_last9(objective):
        return f"Last9 shows no {phrases.noun(objective)}, although some were expected"
    return f"no {phrases.noun(objective)} were started"


def _fault(tally: Tally) -> str | None:
    """Return why the counts themselves cannot be trusted."""
    if not 0 <= tally.bad <= tally.total or tally.excluded < 0:
        return f"counts do not add up: {tally.bad} bad of {tally.total}, {tally.excluded} excluded"
    if tally.quantile is not None and not math.isfinite(tally.quantile.value):
        return f"a percentile of {tally.quantile.value} is no measurement"
    return None


def finding_of(
    objective: Objective,
    tally: Tally,
    state: State,
    message: str,
    *,
    bounds: tuple[float | None, float | None] = (None, None),
    needed: int | None = None,
) -> Finding:
    """Return the finding with its message, its group and the objective it is about."""
    if not tally.expected:
        message += "; the scenario does not list this group, so it does not decide the run"
    return Finding(
        objective=objective.name,
        group=tally.group,
        state=state,
        critical=objective.critical and tally.expected,
        book=phrases.book(objective),
        claim=phrases.claim(objective),
        message=f"{group_text(tally.group)}: {message}" if tally.group else message,
        total=tally.total,
        bad=tally.bad,
        excluded=tally.excluded,
        budget=phrases.budget(objective),
        confidence=None if objective.is_census else objective.confidence,
        bad_low=bounds[0],
        bad_high=bounds[1],
        quantile=tally.quantile,
        requests_needed=needed,
        exemplars=tally.exemplars,
        path=objective.path,
        line=objective.line,
    )

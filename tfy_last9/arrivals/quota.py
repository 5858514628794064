"""Whether a schedule asks more of a target than its quota allows: known before a request is sent."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from tfy_last9.arrivals.schedule import NS_PER_S, schedule
from tfy_last9.model.scenario import Prompt, Scenario, Target

WINDOW_S = 60.0
CHARACTERS_PER_TOKEN = 4
"""A rule of thumb for English text, as in the bands of prompt length."""


def quota_warnings(scenario: Scenario) -> tuple[str, ...]:
    """Return one sentence per quota that the schedule exceeds within some minute."""
    limited = {i for i, target in enumerate(scenario.targets) if target.quota is not None}
    if not limited:
        return ()
    busiest = _busiest_minutes(scenario, limited)
    return tuple(
        warning
        for i in sorted(limited)
        for warning in _warnings(scenario.targets[i], *busiest.get(i, (0, 0.0)))
    )


def estimated_tokens(target: Target, prompt: Prompt) -> float:
    """Return the tokens of one request: its prompt by length, and all the output it may ask for."""
    characters = sum(len(message.content) for message in prompt.messages)
    return characters / CHARACTERS_PER_TOKEN + (target.max_tokens or 0)


def _busiest_minutes(scenario: Scenario, limited: set[int]) -> dict[int, tuple[int, float]]:
    """Return the most requests and tokens of any 60 s per target; later turns count with their opening."""
    windows: dict[int, deque[tuple[int, float]]] = {i: deque() for i in limited}
    tokens = dict.fromkeys(limited, 0.0)
    most = dict.fromkeys(limited, (0, 0.0))
    for arrival in schedule(scenario):
        i = arrival.target
        if i not in limited:
            continue
        window = windows[i]
        size = estimated_tokens(scenario.targets[i], scenario.prompts[arrival.prompt])
        window.append((arrival.due_ns, size))
        tokens[i] += size
        while window[0][0] <= arrival.due_ns - WINDOW_S * NS_PER_S:
            tokens[i] -= window.popleft()[1]
        requests, size = most[i]
        most[i] = max(requests, len(window)), max(size, tokens[i])
    return most


def _warnings(target: Target, requests: int, tokens: float) -> Iterator[str]:
    quota = target.quota
    assert quota is not None
    if quota.rpm is not None and requests > quota.rpm:
        yield (
            f"target {target.name}: up to {requests:,} requests a minute are planned, its quota is"
            f" {quota.rpm:,.0f}: beyond 1 % rate-limited its latency cannot be judged"
        )
    if quota.tpm is not None and tokens > quota.tpm:
        yield (
            f"target {target.name}: up to about {tokens:,.0f} tokens a minute are planned, its quota is"
            f" {quota.tpm:,.0f}: beyond 1 % rate-limited its latency cannot be judged"
        )

"""How many requests one arrival makes, and how long they can take: known before a run."""

from __future__ import annotations

from tfy_last9.model.conversation import LONGEST_PAUSE
from tfy_last9.model.scenario import CONVERSATIONAL, Prompt, Scenario, Target


def turns(target: Target, prompt: Prompt) -> int:
    """Return how many requests an arrival at this target makes: each is a row of the ledger."""
    if target.mcp is not None:
        return len(target.mcp.operations)
    return 1 + len(prompt.follow_ups) if target.api in CONVERSATIONAL else 1


def pauses_s(scenario: Scenario, target: Target, prompt: Prompt) -> tuple[float, ...]:
    """Return the mean pause before each turn after the first; the handshake of MCP takes none."""
    usual_s = scenario.sessions.think_s
    if target.mcp is not None:
        later = target.mcp.operations[1:]
        return tuple(0.0 if call is None else usual_s for _, call in later)
    told = prompt.follow_ups if target.api in CONVERSATIONAL else ()
    return tuple(usual_s if one.think_s is None else one.think_s for one in told)


def longest_session_s(scenario: Scenario) -> float:
    """Return the most that a conversation can take beyond its first request: turns and pauses."""
    stretch = LONGEST_PAUSE if scenario.sessions.is_exponential else 1.0
    pauses = [
        pauses_s(scenario, target, prompt)
        for target in scenario.targets
        for prompt in scenario.prompts
    ]
    total_s = scenario.limits.total_s
    return max(len(each) * total_s + sum(each) * stretch for each in pauses)

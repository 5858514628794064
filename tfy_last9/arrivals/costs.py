"""What requests may cost at most, known before they are sent. Money is whole nano-USD, so that sums are exact.

Input tokens are estimated from the length of what is sent, three bytes to a token, which is more than
English text has and about what code and other Latin scripts have; output tokens are what the request allows.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from tfy_last9.arrivals.schedule import Arrival, schedule
from tfy_last9.errors import ConfigurationError
from tfy_last9.model.conversation import FollowUp, Image
from tfy_last9.model.price import Price
from tfy_last9.model.scenario import CONVERSATIONAL, Api, Message, Prompt, Scenario, Target

NANO = 1_000_000_000
BYTES_PER_TOKEN = 3
PER_MESSAGE = 16
"""Tokens for roles and separators."""
PER_REQUEST = 64
"""Tokens for what opens a request, the nonce of `cache: cold` included."""
PIXELS_PER_TOKEN = 750
"""Anthropic's documented rule for images; other vendors bill less."""
_PER_MTOK = 1_000_000
_CAPS = ("max_tokens", "max_completion_tokens", "max_output_tokens")
Problem = tuple[str, str]
"""What is wrong with a budget, and what to do."""


class Amount(NamedTuple):
    """What one request costs, or all of them."""

    nano_usd: int = 0
    tokens: int = 0
    """Input and output."""

    def plus(self, other: Amount) -> Amount:
        """Return the sum."""
        return Amount(self.nano_usd + other.nano_usd, self.tokens + other.tokens)

    @property
    def usd(self) -> float:
        """Return dollars."""
        return self.nano_usd / NANO


class Costs:
    """Worst cases of a scenario's arrivals."""

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario
        self._known: dict[tuple[int, int, int | None], tuple[Amount, ...]] = {}

    def of(self, arrival: Arrival) -> tuple[Amount, ...]:
        """Return the worst case of each request of an arrival, in order."""
        key = arrival.target, arrival.prompt, arrival.arm
        found = self._known.get(key)
        if found is None:
            target = self._scenario.targets[arrival.target]
            if arrival.arm is not None:
                target = self._scenario.sides[arrival.arm].applied_to(target)
            found = self._known[key] = worst_cases(target, self._scenario.prompts[arrival.prompt])
        return found

    def planned(self) -> Amount:
        """Return the worst case of the whole schedule."""
        total = Amount()
        for arrival in schedule(self._scenario):
            if arrival.turn == 0:
                total = total.plus(sum_of(self.of(arrival)))
        return total


def worst_cases(target: Target, prompt: Prompt) -> tuple[Amount, ...]:
    """Return the most that each request of one arrival can cost; what has no price counts in tokens alone."""
    if target.mcp is not None:
        calls = (call for _, call in target.mcp.operations)
        return tuple(priced(target.price, 0, 0) if call else Amount() for call in calls)
    return tuple(priced(target.price, *tokens) for tokens in _tokens(target, prompt))


def priced(price: Price | None, input_tokens: int, output_tokens: int) -> Amount:
    """Return what a request with so many tokens costs, rounded up; 0 USD where there is no price."""
    tokens = input_tokens + output_tokens
    if price is None:
        return Amount(0, tokens)
    per_mtok = input_tokens * price.input_usd_per_mtok + output_tokens * price.output_usd_per_mtok
    return Amount(nano(per_mtok / _PER_MTOK + price.request_usd), tokens)


def nano(usd: float) -> int:
    """Return nano-USD, rounded up but for the noise of floats."""
    return math.ceil(round(usd * NANO, 3))


def sum_of(amounts: tuple[Amount, ...]) -> Amount:
    """Return the sum of amounts."""
    return Amount(sum(one.nano_usd for one in amounts), sum(one.tokens for one in amounts))


def of_probes(scenario: Scenario) -> Amount:
    """Return the worst case of the preflight: the first request of the first prompt, to each target by each arm."""
    total = Amount()
    for target in _sent(scenario):
        total = total.plus(worst_cases(target, scenario.prompts[0])[0])
    return total


def per_worker(scenario: Scenario, workers: int) -> tuple[int | None, int | None]:
    """Return a worker's share of both budgets, nano-USD and tokens, after the preflight; None: no limit."""
    limits, probes = scenario.limits, of_probes(scenario)
    money = None if limits.usd is None else (int(limits.usd * NANO) - probes.nano_usd) // workers
    tokens = None if limits.tokens is None else (limits.tokens - probes.tokens) // workers
    return money, tokens


def budget_problems(scenario: Scenario, workers: int) -> tuple[Problem, ...]:
    """Return why a budget cannot be kept; empty where it can, or where there is none."""
    limits = scenario.limits
    if limits.usd is None and limits.tokens is None:
        return ()
    if scenario.is_closed:
        what = (
            "a budget needs open arrivals: users of a closed loop ask as often as they are answered"
        )
        return ((what, "use constant, poisson or shaped arrivals, or take the budget out"),)
    found = tuple(problem for target in _sent(scenario) for problem in _unbounded(target, scenario))
    return tuple(dict.fromkeys(found)) or tuple(_too_small(scenario, workers))


def check_budget(scenario: Scenario, workers: int) -> None:
    """Raise `ConfigurationError` where a budget cannot be kept, or pays for nothing."""
    problems = budget_problems(scenario, workers)
    if problems:
        raise ConfigurationError(
            "the budget cannot be kept, so no load was sent\n"
            + "\n".join(message for message, _ in problems),
            hint="; ".join(dict.fromkeys(hint for _, hint in problems)),
        )


def unpriced(scenario: Scenario) -> tuple[str, ...]:
    """Return the targets without a price: what they cost is not known before they answer."""
    return tuple(target.name for target in scenario.targets if target.price is None)


def output_cap(target: Target) -> int | None:
    """Return the most output tokens of a request; None: it is not bounded."""
    if target.api not in CONVERSATIONAL:
        return 0
    gemini = target.body.get("generationConfig")
    nested = gemini.get("maxOutputTokens") if isinstance(gemini, Mapping) else None
    caps = [target.max_tokens, nested, *(target.body.get(name) for name in _CAPS)]
    known = [cap for cap in caps if isinstance(cap, int)]
    answers = target.body.get("n", 1)
    return max(known) * (answers if isinstance(answers, int) else 1) if known else None


def _unbounded(target: Target, scenario: Scenario) -> Iterator[Problem]:
    if output_cap(target) is None:
        yield (
            f"target {target.name} sets no max_tokens, so what an answer may cost has no bound",
            f"give it one in the scenario: `max_tokens: 200` at target {target.name}",
        )
    if scenario.limits.usd is not None and target.price is None and scenario.limits.tokens is None:
        yield (
            f"target {target.name} has no price, so a budget in USD cannot bound it",
            (
                "give it one (`price: {input_usd_per_mtok: 0.15, output_usd_per_mtok: 0.6}`),"
                " or cap the run by tokens (`limits: {tokens: 500000}`)"
            ),
        )


def _too_small(scenario: Scenario, workers: int) -> Iterator[Problem]:
    """Refuse what cannot pay the preflight and one request per target, or the dearest in one worker's share."""
    cases = [
        max(sum_of(worst_cases(target, prompt)) for prompt in scenario.prompts)
        for target in _sent(scenario)
    ]
    least = of_probes(scenario).plus(sum_of(tuple(cases)))
    shares = per_worker(scenario, workers)
    wanted = max(case.nano_usd for case in cases), max(case.tokens for case in cases)
    hint = "raise the budget, lower max_tokens, or shorten the prompts"
    limits = scenario.limits
    if limits.usd is not None and limits.usd * NANO < least.nano_usd:
        yield (
            (
                f"a budget of {limits.usd:g} USD cannot pay for the preflight and one request per target:"
                f" {least.usd:.6g} USD at worst"
            ),
            hint,
        )
    elif limits.tokens is not None and limits.tokens < least.tokens:
        yield (
            (
                f"a cap of {limits.tokens:,} tokens is below the preflight and one request per target:"
                f" {least.tokens:,} at worst"
            ),
            hint,
        )
    elif any(part is not None and part < need for part, need in zip(shares, wanted, strict=True)):
        yield (
            (
                f"the budget, split over {workers} workers, cannot pay the dearest arrival in one share:"
                f" {wanted[0] / NANO:.6g} USD or {wanted[1]:,} tokens at worst"
            ),
            f"{hint}, or use fewer --processes",
        )


def _sent(scenario: Scenario) -> Iterator[Target]:
    for target in scenario.targets:
        yield from (
            (arm.applied_to(target) for arm in scenario.sides) if scenario.sides else (target,)
        )


def _tokens(target: Target, prompt: Prompt) -> Iterator[tuple[int, int]]:
    """Yield input and output tokens of each request; every turn carries what was said before it."""
    output = output_cap(target) or 0
    said = PER_REQUEST + _of_bytes(json.dumps(dict(target.body), ensure_ascii=False, default=str))
    said += sum(map(_of_message, prompt.messages))
    yield said, output
    for follow_up in prompt.follow_ups if target.api in CONVERSATIONAL else ():
        said += output + _of_follow_up(follow_up)
        yield said, output


def _of_message(message: Message) -> int:
    calls = "".join(call.name + call.arguments for call in message.tool_calls)
    results = "".join(result.content for result in message.tool_results)
    return PER_MESSAGE + _of_bytes(message.content + calls + results) + _of_image(message.image)


def _of_follow_up(follow_up: FollowUp) -> int:
    words = (follow_up.text or "") + "".join(follow_up.tool_results.values())
    return PER_MESSAGE + _of_bytes(words) + _of_image(follow_up.image)


def _of_image(image: Image | None) -> int:
    return 0 if image is None else math.ceil(image.width * image.height / PIXELS_PER_TOKEN)


def _of_bytes(text: str) -> int:
    return math.ceil(len(text.encode("utf-8", "surrogatepass")) / BYTES_PER_TOKEN)


def is_free_of_output(target: Target) -> bool:
    """Tell whether answers have no output tokens: then silence about them means none."""
    return target.api is Api.EMBEDDINGS

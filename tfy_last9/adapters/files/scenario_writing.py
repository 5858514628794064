"""A replay as a scenario file: YAML that a person can go on editing, with what it stands for on top."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from pathlib import Path

import yaml

from tfy_last9.arrivals.replayed import Aim, Replay
from tfy_last9.model.traffic import Traffic

LONGEST_PROMPT = 8_000
"""Tokens: longer prompts would make a file that nobody opens."""
WORDS_PER_TOKEN = 0.75
"""A rule of thumb for English; tokenisers differ by a tenth or so."""
_ASK = "Continue the following text at length, in the same style:"
_WORDS = [
    "river",
    "stone",
    "morning",
    "letter",
    "window",
    "garden",
    "engine",
    "market",
    "winter",
    "signal",
    "harbour",
    "paper",
    "bridge",
    "season",
    "number",
    "mountain",
    "story",
    "travel",
    "water",
    "question",
    "answer",
    "forest",
    "village",
    "machine",
    "picture",
    "corner",
    "summer",
    "thunder",
    "candle",
    "library",
    "journey",
    "kitchen",
    "silver",
    "pattern",
    "meadow",
    "distant",
    "simple",
    "quiet",
    "narrow",
    "careful",
    "early",
    "open",
    "gentle",
    "heavy",
    "common",
    "certain",
    "ready",
]


def scenario_text(replay: Replay, traffic: Traffic, *, name: str, seed: int) -> str:
    """Return the file."""
    document = {
        "name": name,
        "description": "Production's traffic, as Last9 shows it",
        "seed": seed,
        "targets": [_target(aim) for aim in replay.aims],
        "arrivals": _arrivals(replay),
        "phases": [
            {"name": "warm-up", "duration": _duration(replay.warm_up_s), "judged": False},
            {"name": "production", "duration": _duration(replay.duration_s)},
        ],
        "prompts": prompts(traffic.input.values, seed),
        "limits": {"users": replay.users},
        "metadata": {"suite": "production-replay"},
    }
    body = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=110)
    return _heading(replay, traffic) + body


def write_scenario(path: Path, text: str) -> None:
    """Write the file; its folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def prompts(lengths: tuple[int, ...], seed: int) -> list[str]:
    """Return synthetic prompts of about these lengths in tokens; nothing of anybody's own words."""
    dice = random.Random(seed)
    found = []
    asked = len(_ASK.split())
    for tokens in lengths or (20,):
        words = max(1, round(min(tokens, LONGEST_PROMPT) * WORDS_PER_TOKEN) - asked)
        found.append(f"{_ASK} {' '.join(dice.choice(_WORDS) for _ in range(words))}.")
    return found


def _target(aim: Aim) -> dict[str, object]:
    reach = {"may_reach": list(aim.providers)} if aim.is_virtual else {"provider": aim.providers[0]}
    found: dict[str, object] = {"name": aim.name, "model": aim.model, **reach}
    if not aim.stream:
        found["stream"] = False
    found["weight"] = aim.weight
    if aim.max_tokens is not None:
        found["max_tokens"] = aim.max_tokens
    return found


def _arrivals(replay: Replay) -> dict[str, object]:
    """Return the rates as steps; the first holds through the warm-up."""
    first, *rest = replay.rates_per_s
    if not rest:
        return {"kind": "poisson", "rate": _rate(first)}
    steps = [
        {"at": _duration(replay.warm_up_s + (place + 1) * replay.step_s), "rate": _rate(rate)}
        for place, rate in enumerate(rest)
    ]
    return {"kind": "steps", "rate": _rate(first), "steps": steps, "gaps": "poisson"}


def _heading(replay: Replay, traffic: Traffic) -> str:
    ends = (traffic.window.start_ns, traffic.window.end_ns)
    since, until = (datetime.fromtimestamp(ns / 1e9, tz=UTC).strftime("%F %H:%M:%S") for ns in ends)
    lines = [
        f"Written by `tfy-last9 scenario from-last9` from {traffic.requests:,} requests between",
        f"{since} and {until} UTC; scale {replay.scale:.3g}, {replay.duration_s:g} s.",
        f"Expected: about {replay.requests:,.0f} requests, {price(replay)}.",
        "",
        "As it was: arrivals over time, mix of models, share of streams, lengths of answers per model",
        f"(as `max_tokens`, which caps and does not lengthen) and of prompts ({traffic.how}).",
        "Not as it was: what prompts say (synthetic text), which lengths go with which model (prompts",
        "are dealt round robin), cached prefixes, sessions and tools.",
        *replay.notes,
    ]
    if traffic.input.values and max(traffic.input.values) > LONGEST_PROMPT:
        lines.append(f"Prompts are cut at {LONGEST_PROMPT:,} tokens.")
    return "".join(f"# {line}".rstrip() + "\n" for line in lines)


def price(replay: Replay) -> str:
    """Return what the replay is expected to cost, in words."""
    known = f"about {replay.usd:.3g} USD by production's own prices"
    if replay.unpriced >= 1.0:
        return "cost unknown: no call carries a price"
    if replay.unpriced > 0:
        return f"{known}, and {100 * replay.unpriced:.3g} % of requests carry none"
    return known


def _duration(seconds: float) -> str:
    return f"{round(seconds * 1000)}ms" if seconds % 1 else f"{seconds:.0f}s"


def _rate(per_s: float) -> str:
    return f"{float(f'{per_s:.4g}'):f}".rstrip("0").rstrip(".") + "/s"

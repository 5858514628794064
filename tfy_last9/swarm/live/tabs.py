"""The SLO tabs in Locust's own UI: tables alone is what its extension point can show."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tfy_last9.judge.phrases import percent
from tfy_last9.progress.live_run import LiveRun, Provider
from tfy_last9.progress.standings import NOTHING, Place, Standing, about, most_used, summary

PROVIDERS, OBJECTIVES = "slo", "objectives"
PERCENTILES = (("a", 0.5, "p50"), ("b", 0.95, "p95"), ("c", 0.99, "p99"))
"""Key suffix, share, title. Locust's page rewrites keys with digits or underscores."""
MEASURES = (("ttft", "TTFT"), ("total", "Total"))

TABS = ({"key": PROVIDERS, "title": "SLO"}, {"key": OBJECTIVES, "title": "Objectives"})
TABLES = (
    {
        "key": PROVIDERS,
        "structure": [
            {"key": "name", "title": "Provider"},
            {"key": "n", "title": "n"},
            *(
                {"key": f"{measure}{suffix}", "title": f"{title} {percentile} (ms)"}
                for measure, title in MEASURES
                for suffix, _, percentile in PERCENTILES
            ),
            {"key": "errors", "title": "Errors"},
            {"key": "used", "title": "Error budget used"},
            {"key": "decided", "title": "Objectives"},
        ],
    },
    {
        "key": OBJECTIVES,
        "structure": [
            {"key": "name", "title": "Objective"},
            {"key": "claim", "title": "Claim"},
            {"key": "n", "title": "n"},
            {"key": "bad", "title": "Bad"},
            {"key": "used", "title": "Error budget used"},
            {"key": "decided", "title": "So far"},
        ],
    },
)


def tables(live: LiveRun) -> list[dict[str, Any]]:
    """Return the rows of both tabs, as `/stats/requests` carries them."""
    places = live.places()
    return [
        {
            "key": PROVIDERS,
            "data": [_provider(one, about(one.name, places)) for one in live.providers()],
        },
        {"key": OBJECTIVES, "data": [_objective(one) for one in places]},
    ]


def milliseconds(found: Provider) -> Iterator[tuple[str, float | None]]:
    """Yield every percentile of a provider in milliseconds, to the microsecond, under its key."""
    for measure, _ in MEASURES:
        for suffix, p, _ in PERCENTILES:
            spent_ns = found.times[measure].quantile_ns(p)
            yield f"{measure}{suffix}", None if spent_ns is None else round(spent_ns / 1e6, 3)


def share(used: float | None) -> str:
    """Return a share of a budget in words."""
    return NOTHING if used is None else percent(used)


def _provider(found: Provider, places: tuple[Place, ...]) -> Mapping[str, Any]:
    times = {key: NOTHING if value is None else value for key, value in milliseconds(found)}
    return {
        "name": found.name,
        "n": found.n,
        **times,
        "errors": found.errors,
        "used": share(most_used(places)),
        "decided": summary(places),
    }


def _objective(place: Place) -> Mapping[str, Any]:
    where = f", {' / '.join(place.group)}" if place.group else ""
    is_later = place.standing is Standing.LATER
    return {
        "name": f"{place.objective}{where}",
        "claim": place.claim,
        "n": NOTHING if is_later else place.total,
        "bad": NOTHING if is_later else place.bad,
        "used": share(place.used),
        "decided": place.words,
    }

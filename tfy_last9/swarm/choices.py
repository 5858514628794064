"""Which scenarios and SLO sets the start form offers, and what was chosen.

Locust asks for its options again on every page load, so that listing must stay cheap: names of files,
nothing is parsed. A choice is looked up among what was offered and never becomes a path of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfy_last9.adapters.baselines import LATEST_PASS
from tfy_last9.errors import ConfigurationError

MOST = 100
"""Entries in a list that is still one to choose from."""
SUFFIXES = frozenset({".yaml", ".yml"})
SCENARIO, SLO, BASELINE = "scenario", "objectives", "baseline"
"""Names of the fields in the form, and of Locust's parsed options."""
NONE = "none"
"""Choose it to have a run judged alone."""


@dataclass(frozen=True, slots=True)
class Choices:
    """What can be chosen, by the name that is shown; the default comes first."""

    scenarios: Mapping[str, Path]
    slos: Mapping[str, Path]
    baselines: Sequence[str] = (NONE, LATEST_PASS)
    """Runs to compare with; the form offers none that the command line did not name."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What a run is made of."""

    scenario: Path
    slo: Path
    baseline: str | None = None
    """What `gate --baseline` takes; None: the run is judged alone."""


def choices(scenario: Path, slo: Path, baselines: Sequence[str]) -> Choices:
    """Return what lies beside the defaults: scenario files, and folders of SLO files."""
    return Choices(_named(_scenarios(scenario)), _named(_slos(slo)), tuple(baselines))


def chosen(offered: Choices, options: Any) -> Choice:
    """Return what the options ask for. Raises `ConfigurationError` for a name that was not offered."""
    return Choice(
        _looked_up(SCENARIO, offered.scenarios, getattr(options, SCENARIO, None)),
        _looked_up(SLO, offered.slos, getattr(options, SLO, None)),
        _baseline(offered, getattr(options, BASELINE, None)),
    )


def asked(offered: Choices, form: Mapping[str, str], options: Any) -> Choice:
    """Return what a start form asks for; a field it lacks stays as the options have it."""
    before = chosen(offered, options)
    return Choice(
        _looked_up(SCENARIO, offered.scenarios, form.get(SCENARIO) or str(before.scenario)),
        _looked_up(SLO, offered.slos, form.get(SLO) or str(before.slo)),
        _baseline(offered, form.get(BASELINE) or before.baseline),
    )


def _looked_up(what: str, offered: Mapping[str, Path], name: str | None) -> Path:
    if name is None:
        return next(iter(offered.values()))
    if name not in offered:
        raise ConfigurationError(
            f"{what} {name!r} is not one of those offered: {', '.join(offered)}",
            hint="choose one of the list; TFY_SCENARIO and TFY_SLO name others",
        )
    return offered[name]


def _baseline(offered: Choices, name: str | None) -> str | None:
    """Return a baseline that was offered: a form must not make this process read any place it likes."""
    if name is None or name == NONE:
        return None
    if name not in offered.baselines:
        raise ConfigurationError(
            f"baseline {name!r} is not one of those offered: {', '.join(offered.baselines)}",
            hint="start Locust with --baseline or TFY_BASELINE to offer another",
        )
    return name


def _named(paths: Iterator[Path]) -> dict[str, Path]:
    """Return paths by the text that is shown for them, each once."""
    named: dict[str, Path] = {}
    for path in paths:
        named.setdefault(str(path), path)
        if len(named) == MOST:
            break
    return named


def _scenarios(default: Path) -> Iterator[Path]:
    yield default
    for folder in dict.fromkeys((default.parent, Path("scenarios"))):
        yield from (path for path in _entries(folder) if path.suffix in SUFFIXES)


def _slos(default: Path) -> Iterator[Path]:
    yield default
    root = default if default.is_dir() else default.parent
    for folder in (root, *(path for path in _entries(root) if path.is_dir())):
        if any(path.suffix in SUFFIXES for path in _entries(folder)):
            yield folder


def _entries(folder: Path) -> list[Path]:
    """Return what is in a folder, sorted; hidden entries are not offered."""
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError:
        return []

"""Check scenario and SLO files, all problems of all files at once."""

from __future__ import annotations

from pathlib import Path

import yaml

from tfy_last9.adapters.files.openslo import load_objectives
from tfy_last9.adapters.files.scenario import load_scenario
from tfy_last9.errors import ConfigurationError, FileProblem, FileProblems


def lint_paths(paths: list[Path]) -> str:
    """Return what was checked. Raises `FileProblems` with every fault found."""
    problems: list[FileProblem] = []
    checked = 0
    for path in paths:
        if not path.exists():
            raise ConfigurationError(f"there is no file or folder {path}")
        slo, scenarios = _sorted_out(path)
        for one in scenarios:
            checked += 1
            _collect(problems, lambda one=one: load_scenario(one))
        if slo:
            checked += len(slo)
            _collect(problems, lambda path=path: load_objectives(path))
    if problems:
        raise FileProblems(tuple(problems))
    return f"{checked} file(s) checked, no problem found"


def _collect(problems: list[FileProblem], load: object) -> None:
    assert callable(load)
    try:
        load()
    except FileProblems as found:
        problems.extend(found.problems)


def _sorted_out(path: Path) -> tuple[list[Path], list[Path]]:
    """Tell SLO files from scenarios: an OpenSLO object says `apiVersion`, a scenario never does."""
    files = sorted([*path.glob("*.yaml"), *path.glob("*.yml")]) if path.is_dir() else [path]
    slo = [file for file in files if _is_openslo(file)]
    if path.is_dir() and not files:
        raise ConfigurationError(f"{path} holds no YAML file")
    return slo, [file for file in files if file not in slo]


def _is_openslo(file: Path) -> bool:
    try:
        events = yaml.parse(file.read_text(), Loader=yaml.SafeLoader)
        return any(getattr(event, "value", None) == "apiVersion" for event in events)
    except (yaml.YAMLError, UnicodeDecodeError):
        return False

"""SHA-256 digests that say whether two runs used the same files."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from tfy_last9.adapters.files.openslo import slo_files
from tfy_last9.adapters.files.scenario import scenario_to_json
from tfy_last9.model.scenario import Scenario


def scenario_digest(scenario: Scenario) -> str:
    """Return the digest of the resolved scenario; formatting and comments do not matter."""
    return _of_json(scenario_to_json(scenario))


def comparability_hash(scenario: Scenario) -> str:
    """Return the digest of all that must be equal in two runs before their numbers may be compared.

    That is the scenario without `limits`, which bound the generator and not the traffic, and without prices.
    """
    data = scenario_to_json(scenario)
    del data["limits"]
    for target in data["targets"]:
        del target["price"]
    return _of_json(data)


def slo_digest(path: Path) -> str:
    """Return the digest of an SLO file or folder: names and bytes of its files, in name order."""
    digest = hashlib.sha256()
    for file in slo_files(path):
        content = file.read_bytes()
        digest.update(f"{file.name}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


def _of_json(data: dict[str, Any]) -> str:
    text = json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()

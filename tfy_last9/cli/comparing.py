"""`compare`: two stored runs of the same scenario as baseline and canary."""

from __future__ import annotations

import json

from tfy_last9.adapters.files.openslo import load_objectives
from tfy_last9.adapters.runfolder.arms import read_two_runs
from tfy_last9.adapters.runfolder.folder import RunFolder
from tfy_last9.cli.console import Console
from tfy_last9.cli.judging import decide
from tfy_last9.errors import BrokenRun, ConfigurationError
from tfy_last9.judge.canary import compare_alone
from tfy_last9.judge.gate import fold
from tfy_last9.judge.relative import as_arms
from tfy_last9.model.run import Manifest
from tfy_last9.model.verdict import EXIT_CODES, State
from tfy_last9.reports import comparison


def compare_runs(
    baseline: RunFolder, canary: RunFolder, console: Console, *, as_json: bool = False
) -> int:
    """Print the comparison and return its exit code; nothing is written into the runs.

    Raises `ConfigurationError` for runs that may not be compared, `BrokenRun` for an invalid one.
    """
    manifests = baseline.read_manifest(), canary.read_manifest()
    _check_comparable(*manifests)
    for folder in (baseline, canary):
        _check_sound(folder)
    scenario = manifests[0].scenario
    arms = scenario.arms or as_arms(scenario.policy.baseline)
    tallies = read_two_runs(baseline, canary, load_objectives(baseline.slo_path))
    findings = compare_alone(tallies, arms)
    state = fold(findings, on_inconclusive=scenario.policy.on_inconclusive)
    runs = manifests[0].run_id, manifests[1].run_id
    if as_json:
        console.result(json.dumps(comparison.document(runs, state, findings), indent=2))
    else:
        console.result(comparison.render(runs, state, findings))
    return EXIT_CODES[state]


def _check_comparable(baseline: Manifest, canary: Manifest) -> None:
    if baseline.run_id == canary.run_id:
        raise ConfigurationError(
            "both arguments name the same run, which cannot differ from itself"
        )
    hashes = [run.digests.get("comparability") for run in (baseline, canary)]
    if hashes[0] is None or hashes[0] != hashes[1]:
        raise ConfigurationError(
            f"{baseline.run_id} and {canary.run_id} are not comparable: their scenarios differ in more"
            " than their limits (traffic, prompts, models, seed, rate or duration)",
            hint="run both with the same scenario file and the same --rate, --duration and --seed",
        )


def _check_sound(folder: RunFolder) -> None:
    verdict = decide(folder, load_objectives(folder.slo_path))
    if verdict.state is State.ERROR:
        raise BrokenRun(
            f"{folder.path} is no valid run, so comparing it proves nothing: {verdict.reason}",
            hint="run it again",
        )

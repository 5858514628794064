"""From a run folder to its verdict: reduce, judge, write the reports, print the answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from shlex import quote

from tfy_last9.adapters.environment import read_environment
from tfy_last9.adapters.files.openslo import load_objectives
from tfy_last9.adapters.last9.links import explorer_link, trace_link
from tfy_last9.adapters.last9.settings import Last9Settings
from tfy_last9.adapters.runfolder.folder import RunFolder
from tfy_last9.adapters.runfolder.reduce import Reduction
from tfy_last9.adapters.runfolder.seal import seal
from tfy_last9.adapters.truefoundry.control_plane import ControlPlaneSettings
from tfy_last9.cli.collecting import Collector
from tfy_last9.cli.console import Console
from tfy_last9.cli.publishing import GitHub, tell_github, write_reports
from tfy_last9.errors import BrokenRun, MissingSettings
from tfy_last9.judge.gate import judge
from tfy_last9.judge.why import attach, unexplained, with_burns
from tfy_last9.model.objective import Objective
from tfy_last9.model.run import EvidenceRecord
from tfy_last9.model.verdict import Exemplar, Verdict
from tfy_last9.reports import console as console_report
from tfy_last9.reports import verdict_json
from tfy_last9.reports.pointers import with_folder
from tfy_last9.wire.last9_queries import spans_of_run

WHAT_IF = "verdict-whatif.json"


def decide(folder: RunFolder, objectives: tuple[Objective, ...]) -> Verdict:
    """Return the verdict of a sealed and collected run: a pure function of its files."""
    manifest = folder.read_manifest()
    evidence = folder.read_evidence() if folder.evidence_path.is_file() else None
    with Reduction(folder, objectives) as reduction:
        verdict = judge(
            manifest,
            objectives,
            reduction.tallies(),
            reduction.accounting(),
            reduction.validity(),
            evidence,
            reduction.arms(),
            reduction.bets(),
        )
        verdict = replace(verdict, contract=reduction.contract())
        verdict = with_burns(verdict, reduction.burns(verdict.findings))
        return attach(verdict, reduction.causes(unexplained(verdict)))


def conclude(
    folder: RunFolder,
    objectives: tuple[Objective, ...],
    console: Console,
    *,
    as_json: bool = False,
    github: GitHub | None = None,
) -> int:
    """Decide, write all reports, print the answer; return the exit code."""
    verdict = decide(folder, objectives)
    write_reports(folder, verdict, linker(folder))
    console.result(verdict_json.render(verdict) if as_json else _report(verdict, folder))
    tell_github(github, folder, verdict, json=as_json)
    console.say(f"run folder: {_shown(folder.path)}")
    page = run_page(folder)
    if page is not None:
        console.say(f"traces in Last9: {page}")
    return verdict.exit_code


def conclude_what_if(folder: RunFolder, slo: Path, console: Console) -> int:
    """Decide with other SLO files; the run's own verdict stays as it is."""
    verdict = decide(folder, load_objectives(slo))
    folder.write(folder.path / WHAT_IF, verdict_json.render(verdict).encode())
    console.result(_report(verdict, folder))
    console.say(f"what-if with {slo}: {_shown(folder.path / WHAT_IF)}")
    return verdict.exit_code


def complete(folder: RunFolder, settings: Last9Settings | None, console: Console) -> None:
    """Do what is still missing before a run can be judged: seal it, fetch its evidence."""
    manifest = seal(folder)
    if manifest.client_only or folder.evidence_path.is_file():
        return
    if settings is None:
        raise MissingSettings(
            f"{folder.path} has no evidence yet, and LAST9_REFRESH_TOKEN is not set",
            hint="set it (environment or .env) to a token with read scope, then run this again",
        )
    objectives = load_objectives(folder.slo_path)
    control_plane = ControlPlaneSettings.of(read_environment())
    with Collector(folder, objectives, settings, control_plane) as collector:
        collector.collect(manifest, console)


def render_again(folder: RunFolder) -> Verdict:
    """Write the reports of a judged run again, from its verdict.json."""
    if not folder.verdict_path.is_file():
        raise BrokenRun(
            f"{folder.path} has no verdict.json: the run was never judged",
            hint=f"judge it: tfy-last9 check {folder.path}",
        )
    verdict = verdict_json.parse(folder.verdict_path.read_text(encoding="utf-8"))
    write_reports(folder, verdict, linker(folder))
    return verdict


def _report(verdict: Verdict, folder: RunFolder) -> str:
    """Return the console report; the verdict knows its run id only, a person needs the path."""
    steps = runnable(verdict.next_steps, verdict.run_id, _shown(folder.path))
    return console_report.render(replace(verdict, next_steps=steps), linker(folder))


def runnable(steps: tuple[str, ...], run_id: str, path: str) -> tuple[str, ...]:
    """Return the steps with the folder in place of the run id, as a shell reads it."""
    return tuple(with_folder(step, run_id, quote(path)) for step in steps)


def run_page(folder: RunFolder) -> str | None:
    """Return Last9's traces explorer with the filter of the run; None where there is no page."""
    if not folder.evidence_path.is_file():
        return None
    evidence = folder.read_evidence()
    if evidence.window is None:
        return None
    pipeline = spans_of_run(evidence.service, folder.read_manifest().run_id)
    return explorer_link(evidence.link_base, pipeline, evidence.window, cluster=evidence.cluster)


def linker(folder: RunFolder) -> Callable[[Exemplar], str]:
    """Return a function from a trace to its page in Last9; an empty text where there is none."""
    evidence: EvidenceRecord | None = None
    if folder.evidence_path.is_file():
        evidence = folder.read_evidence()

    def link(exemplar: Exemplar) -> str:
        if exemplar.trace_id is None:
            return ""
        if evidence is not None and evidence.window is not None:
            base, cluster = evidence.link_base, evidence.cluster
            page = trace_link(base, exemplar.trace_id, evidence.window, cluster=cluster)
            return page or ""
        return ""

    return link


def _shown(path: Path) -> str:
    """Return the path relative to here where that is shorter."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)

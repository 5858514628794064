"""Write every report of a verdict into its run folder, and tell GitHub where the job runs there."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tfy_last9.adapters.runfolder.folder import RunFolder
from tfy_last9.adapters.runfolder.token_gaps import read_token_gaps
from tfy_last9.cli.page import REPORT, report_page
from tfy_last9.model.run import Manifest
from tfy_last9.model.verdict import Exemplar, Verdict
from tfy_last9.reports import ctrf, github, junit, openmetrics, summary, verdict_json

SUMMARY = "summary.md"
_NS_PER_MS = 1_000_000


@dataclass(frozen=True, slots=True)
class GitHub:
    """Where the SLO files are in the repository, so that annotations can point at them."""

    slo_root: str


def github_wanted(choice: bool | None, slo: Path) -> GitHub | None:
    """Return the settings for GitHub: as asked, else where the environment says it is an action."""
    wanted = os.environ.get("GITHUB_ACTIONS") == "true" if choice is None else choice
    if not wanted:
        return None
    root = slo if slo.is_dir() else slo.parent
    try:
        shown = root.resolve().relative_to(Path(os.environ.get("GITHUB_WORKSPACE", ".")).resolve())
    except ValueError:
        shown = root
    return GitHub(shown.as_posix())


def write_reports(folder: RunFolder, verdict: Verdict, links: Callable[[Exemplar], str]) -> None:
    """Write verdict.json and everything that is made from it, so that `report` gives the same bytes."""
    document = verdict_json.render(verdict)
    verdict = verdict_json.parse(document)
    texts = {
        "verdict.json": document,
        "junit.xml": junit.render(verdict),
        SUMMARY: summary.render(verdict, links),
        "ctrf.json": ctrf.render(verdict, run_facts(folder.read_manifest())),
        "metrics.txt": openmetrics.render(verdict, read_token_gaps(folder)),
    }
    for name, text in texts.items():
        folder.write(folder.path / name, text.encode())
    page = report_page(folder, verdict, links)
    folder.write(folder.path / REPORT, page.encode("utf-8", "replace"))


def run_facts(manifest: Manifest) -> ctrf.RunFacts:
    """Return what CTRF wants to know; a run that sent nothing began and ended when it was made."""
    start_ns = manifest.start_ns or manifest.created_ns
    end_ns = max(manifest.end_ns or start_ns, start_ns)
    version = manifest.versions.get("tfy-last9", "")
    return ctrf.RunFacts(version, start_ns // _NS_PER_MS, end_ns // _NS_PER_MS)


def tell_github(wanted: GitHub | None, folder: RunFolder, verdict: Verdict, *, json: bool) -> None:
    """Print annotations and append the summary to the step's; with `json`, keep stdout for it.

    The runner reads commands from both streams.
    """
    if wanted is None:
        return
    text = github.render(verdict, wanted.slo_root)
    print(text, end="", file=sys.stderr if json else sys.stdout, flush=True)
    page = os.environ.get("GITHUB_STEP_SUMMARY")
    if page:
        with Path(page).open("a", encoding="utf-8") as step:
            step.write((folder.path / SUMMARY).read_text(encoding="utf-8") + "\n")

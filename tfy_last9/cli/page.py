"""`report.html` from a run folder: read what is drawn, render it."""

from __future__ import annotations

from collections.abc import Callable

from tfy_last9.adapters.files.openslo import load_objectives
from tfy_last9.adapters.runfolder.folder import RunFolder
from tfy_last9.adapters.runfolder.pictures import read_pictures
from tfy_last9.model.pictures import NO_PICTURES
from tfy_last9.model.verdict import Exemplar, Verdict
from tfy_last9.reports.html.page import render

REPORT = "report.html"


def report_page(folder: RunFolder, verdict: Verdict, links: Callable[[Exemplar], str]) -> str:
    """Return the page of a judged run; the same folder gives the same bytes."""
    pictures = NO_PICTURES
    if folder.ledger_path.is_file():
        pictures = read_pictures(folder, load_objectives(folder.slo_path), verdict)
    evidence = folder.read_evidence() if folder.evidence_path.is_file() else None
    return render(verdict, pictures, folder.read_manifest(), evidence, links)

"""Whether the run folder still holds what was saved in it.

Spans that went missing from the folder must not be blamed on the gateway: they were in Last9.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfy_last9.adapters.runfolder.database import scalar_int
from tfy_last9.errors import BrokenRun

if TYPE_CHECKING:
    import duckdb

    from tfy_last9.adapters.runfolder.folder import RunFolder
    from tfy_last9.model.run import EvidenceRecord


def check_spans(
    database: duckdb.DuckDBPyConnection, folder: RunFolder, evidence: EvidenceRecord | None
) -> None:
    """Compare the relation `spans` with what evidence.json counted. Raises `BrokenRun` for fewer."""
    if evidence is None or not evidence.collections:
        return
    saved = evidence.collections[-1].spans
    found = scalar_int(database, "SELECT count(*) FROM spans")
    if found < saved:
        raise BrokenRun(
            f"{folder.spans_path} holds {found:,} spans, but evidence.json counts {saved:,}: the folder"
            " was edited or copied in part",
            hint=f"restore the file, or fetch it again: tfy-last9 collect {folder.path}",
        )

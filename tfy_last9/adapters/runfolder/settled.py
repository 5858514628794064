"""Traces of a run that still goes on, as far as they have settled: every trace up to some request.

The traces that are shown first are the quick ones. So only the stretch is read in which every expected trace
is complete, or so late that nobody waits for it any more. A book of its own keeps the spans; the run
folder is only read.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Self

from tfy_last9.adapters.runfolder.bets import read_bets
from tfy_last9.adapters.runfolder.books import open_books
from tfy_last9.adapters.runfolder.database import scalar_int
from tfy_last9.adapters.runfolder.events import load_events
from tfy_last9.adapters.runfolder.evidence import EvidenceStore
from tfy_last9.adapters.runfolder.folder import RunFolder
from tfy_last9.adapters.runfolder.join import complete
from tfy_last9.adapters.runfolder.prefix import write_prefix
from tfy_last9.adapters.runfolder.reduce import required_roles
from tfy_last9.adapters.runfolder.tally import read_tallies
from tfy_last9.judge.early import can_be_bet_on_traces
from tfy_last9.model.objective import Ratio, Threshold

if TYPE_CHECKING:
    from collections.abc import Sequence

    import duckdb

    from tfy_last9.judge.early import Bets
    from tfy_last9.model.objective import Objective
    from tfy_last9.model.run import Manifest
    from tfy_last9.model.verdict import Tally
    from tfy_last9.ports import Outstanding, Page

FIRST_OPEN = """
SELECT min(l.seq) FROM ledger l
JOIN (SELECT seq, is_joined AND {complete} AS is_whole FROM joins) j USING (seq)
WHERE l.is_expected AND NOT j.is_whole AND l.finished_utc_ns > {given_up_ns}
"""


@dataclass(frozen=True, slots=True)
class Settled:
    """What the first `requests` requests say about the objectives on spans."""

    requests: int
    tallies: dict[str, tuple[Tally, ...]]
    bets: Bets


class SettledBook:
    """Ledger and spans of a run while it goes on; the caller closes it."""

    def __init__(
        self, folder: RunFolder, manifest: Manifest, objectives: Sequence[Objective]
    ) -> None:
        self._place = TemporaryDirectory(prefix="tfy-last9-settled-")
        self._folder = folder
        self._manifest = manifest
        self._objectives = tuple(objectives)
        self._own = RunFolder(Path(self._place.name))
        self._own.write_manifest(manifest)
        self._required = required_roles(objectives)
        self._store = EvidenceStore(self._own, self._required)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._store.close()
        self._place.cleanup()

    def outstanding(self) -> Outstanding | None:
        """Return which traces of the whole stretch are not shown yet; None before its first request."""
        if not write_prefix(self._folder, self._own.ledger_path):
            return None
        return self._store.outstanding()

    def add(self, page: Page) -> None:
        """Keep what a look at Last9 showed."""
        self._store.add(page)

    def read(self, now_ns: int) -> Settled:
        """Return what is known for certain at this instant."""
        self._store.save()
        scenario = self._manifest.scenario
        with open_books(self._own, scenario, scenario.settle.late_after_s) as database:
            deadline_ns = round(scenario.settle.deadline_s * 1e9)
            query = FIRST_OPEN.format(
                complete=complete(self._required), given_up_ns=now_ns - deadline_ns
            )
            (first,) = database.execute(query).fetchall()[0]
            known = scalar_int(database, "SELECT max(seq) + 1 FROM ledger")
            return self._read(database, known if first is None else first)

    def _read(self, database: duckdb.DuckDBPyConnection, requests: int) -> Settled:
        tallies: dict[str, tuple[Tally, ...]] = {}
        bets: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}
        for objective in self._objectives:
            indicator = objective.indicator
            if can_be_bet_on_traces(objective) and isinstance(indicator, Threshold | Ratio):
                load_events(database, indicator, objective.group_by)
                database.execute("DELETE FROM events WHERE seq >= ?", [requests])
                tallies[objective.name] = read_tallies(database, objective)
                bets |= read_bets(database, objective)
        return Settled(requests, tallies, bets)

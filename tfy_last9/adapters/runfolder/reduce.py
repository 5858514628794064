"""Reduce a stored run to the few numbers that judging needs.

Reads nothing but the folder, keeps everything columnar, and answers the same for the same bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from tfy_last9.adapters.runfolder.accounting import read_accounting
from tfy_last9.adapters.runfolder.books import open_books
from tfy_last9.adapters.runfolder.composites import read_composite
from tfy_last9.adapters.runfolder.events import load_events
from tfy_last9.adapters.runfolder.join import DEFAULT_REQUIRED, complete
from tfy_last9.adapters.runfolder.scalars import read_scalars
from tfy_last9.adapters.runfolder.soundness import read_validity
from tfy_last9.adapters.runfolder.tally import read_tallies
from tfy_last9.adapters.runfolder.timeslices import sliced
from tfy_last9.errors import BrokenRun
from tfy_last9.model.objective import Completeness, Composite, Objective, Scalar, parts

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tfy_last9.adapters.runfolder.folder import RunFolder
    from tfy_last9.model.trace import Role
    from tfy_last9.model.verdict import Accounting, Tally, Validity


def required_roles(objectives: Iterable[Objective]) -> tuple[Role, ...]:
    """Return the roles that settling waits for: all that completeness objectives ask, else root and model."""
    asked = {
        role
        for objective in objectives
        for indicator in parts(objective.indicator)
        if isinstance(indicator, Completeness)
        for role in indicator.require
    }
    return tuple(sorted(asked)) or DEFAULT_REQUIRED


class Reduction:
    """The two books of a sealed run, reduced to counts."""

    def __init__(self, folder: RunFolder, objectives: Sequence[Objective]) -> None:
        manifest = folder.read_manifest()
        if manifest.counters is None:
            raise BrokenRun(
                f"{folder.path} was never sealed: run.json has no counters",
                hint=f"seal it with `tfy-last9 collect {folder.path}`",
            )
        self._folder = folder
        self._objectives = tuple(objectives)
        self._counters = manifest.counters
        late_after_s = manifest.scenario.settle.late_after_s
        self._database = open_books(folder, manifest.scenario, late_after_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Free the memory."""
        self._database.close()

    def tallies(self) -> dict[str, tuple[Tally, ...]]:
        """Return the counts per group of each objective, by its name; never an empty tuple."""
        return {objective.name: self._tallies(objective) for objective in self._objectives}

    def _tallies(self, objective: Objective) -> tuple[Tally, ...]:
        indicator, database = objective.indicator, self._database
        if isinstance(indicator, Scalar):
            return read_scalars(database, objective, indicator)
        if isinstance(indicator, Composite):
            return read_composite(database, objective, indicator)
        load_events(database, indicator, objective.group_by)
        tallies = read_tallies(database, objective)
        if objective.slicing is None:
            return tallies
        return sliced(database, objective.slicing, tallies)

    def accounting(self) -> Accounting:
        """Return where every intended request and every expected trace went."""
        return read_accounting(
            self._database,
            self._counters,
            asked=self._folder.spans_path.is_file(),
            complete=complete(required_roles(self._objectives)),
        )

    def validity(self) -> Validity:
        """Return the generator's numbers; `problems` names faults in the data only."""
        return read_validity(self._database, self._folder, self._counters)

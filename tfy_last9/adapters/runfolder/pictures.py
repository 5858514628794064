"""Reduce a sealed run to the small series that the report draws; columnar until the last step."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING, Any

from tfy_last9.adapters.runfolder import pictures_sql as sql
from tfy_last9.adapters.runfolder.books import open_books
from tfy_last9.adapters.runfolder.database import literal
from tfy_last9.adapters.runfolder.distributions import read_heats, read_histograms, read_lag
from tfy_last9.adapters.runfolder.join import complete
from tfy_last9.adapters.runfolder.reduce import required_roles
from tfy_last9.adapters.runfolder.token_gaps import read_token_gaps
from tfy_last9.adapters.runfolder.worst import read_worst
from tfy_last9.model.fields import VALUE_FIELDS
from tfy_last9.model.objective import Book, Operator, Threshold
from tfy_last9.model.pictures import (
    TOTAL,
    TTFT,
    Flow,
    Limit,
    Pictures,
    Series,
    Spend,
    Stretch,
    Timeline,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import duckdb

    from tfy_last9.adapters.runfolder.folder import RunFolder
    from tfy_last9.model.objective import Objective
    from tfy_last9.model.verdict import Verdict

MOST_COLUMNS = 120
STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600)
MEASURES = {TTFT: "ttft_ms", TOTAL: "total_ms"}
DIGITS = 6
"""Significant digits of what is added up: the last bits of a sum depend on the order of addition."""

Cells = dict[str, dict[int, float]]


def read_pictures(folder: RunFolder, objectives: Sequence[Objective], verdict: Verdict) -> Pictures:
    """Return what there is to draw; a missing file leaves its picture empty."""
    manifest = folder.read_manifest()
    late_after_s = manifest.scenario.settle.late_after_s
    with open_books(folder, manifest.scenario, late_after_s) as database:
        return _Album(database, folder, objectives, verdict).read()


class _Album:
    """One reading: the grid of columns, and the queries that fill it."""

    def __init__(
        self,
        database: duckdb.DuckDBPyConnection,
        folder: RunFolder,
        objectives: Sequence[Objective],
        verdict: Verdict,
    ) -> None:
        self._database = database
        self._folder = folder
        self._objectives = objectives
        self._verdict = verdict
        self._zero_ns, last_ns = self._rows(sql.EXTENT)[0]
        self._length_s = (last_ns - self._zero_ns) / 1e9
        self._step_s = next(
            (step for step in STEPS_S if self._length_s / step < MOST_COLUMNS),
            max(STEPS_S[-1], self._length_s / (MOST_COLUMNS - 1)),
        )
        self._columns = int(self._length_s // self._step_s) + 1

    def read(self) -> Pictures:
        """Return the pictures."""
        self._prepare()
        providers = tuple(row[0] for row in self._rows(sql.PROVIDERS))
        started, finished = self._counts(sql.STARTED), self._counts(sql.FINISHED)
        hub, start_lag, cpu = self._health()
        cost, spend = self._cost()
        return Pictures(
            step_s=self._step_s,
            columns=self._columns,
            phases=self._phases(),
            providers=providers,
            rates=self._rates(started, finished),
            in_flight=self._in_flight(started, finished),
            errors=self._errors(),
            tokens=self._tokens(),
            cost=cost,
            spend=spend,
            hub_lag_ms=hub,
            start_lag_ms=start_lag,
            cpu_percent=cpu,
            heats=read_heats(self._database),
            histograms=read_histograms(self._database),
            gaps=read_token_gaps(self._folder),
            limits=tuple(_limits(self._objectives)),
            lag=read_lag(self._database),
            flows=self._flows(),
            worst=read_worst(self._database, self._verdict),
        )

    def _prepare(self) -> None:
        shape = {"columns": self._columns, "step_s": self._step_s}
        instants = {
            name: sql.seconds(f"{name}_ns", self._zero_ns)
            for name in ("due", "started", "finished")
        }
        self._database.execute(sql.DRAWN.format(**shape, **instants))
        for place, (measure, field) in enumerate(MEASURES.items()):
            value = sql.latency(field)
            query = sql.MEASURED.format(
                **shape,
                due=instants["due"],
                measure=measure,
                value=value.sql,
                owed=value.owed,
                applies=value.asked,
            )
            into = "INSERT INTO measured" if place else "CREATE TEMP TABLE measured AS"
            self._database.execute(query.replace("CREATE TEMP TABLE measured AS", into))

    def _rows(self, query: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        return self._database.execute(query, list(values)).fetchall()

    def _shape(self, query: str) -> str:
        return query.format(
            columns=self._columns,
            step_s=self._step_s,
            zero_ns=self._zero_ns,
            path=literal(self._folder.health_path),
        )

    def _counts(self, query: str) -> list[int]:
        counts = dict(self._rows(query))
        return [counts.get(column, 0) for column in range(self._columns)]

    def _rates(self, started: list[int], finished: list[int]) -> Timeline:
        offered = self._counts(sql.OFFERED)
        named = {"offered": offered, "started": started, "finished": finished}
        series = tuple(
            Series(name, tuple(count / self._step_s for count in counts))
            for name, counts in named.items()
        )
        return Timeline(series, sum(offered))

    def _in_flight(self, started: list[int], finished: list[int]) -> Timeline:
        under_way = tuple(
            float(began - ended)
            for began, ended in zip(accumulate(started), accumulate(finished), strict=True)
        )
        return Timeline((Series("in flight", under_way),), sum(started))

    def _errors(self) -> Timeline:
        rows = self._rows(sql.ERRORS)
        cells: Cells = {}
        for outcome, at, count in rows:
            cells.setdefault(outcome, {})[at] = float(count)
        return Timeline(self._filled(cells, 0.0), sum(row[2] for row in rows))

    def _tokens(self) -> Timeline:
        rows = self._rows(sql.TOKENS)
        cells: Cells = {}
        for provider, at, tokens, _ in rows:
            cells.setdefault(provider, {})[at] = tokens / self._step_s
        return Timeline(self._filled(cells, 0.0), sum(row[3] for row in rows))

    def _cost(self) -> tuple[Timeline, tuple[Spend, ...]]:
        rows = self._rows(self._shape(sql.COST))
        cells: Cells = {}
        calls: dict[str, int] = {}
        priced: dict[str, int] = {}
        for provider, at, usd, with_price, count in rows:
            cells.setdefault(provider, {})[at] = usd or 0.0
            calls[provider] = calls.get(provider, 0) + count
            priced[provider] = priced.get(provider, 0) + with_price
        paid = {name: at for name, at in cells.items() if priced[name]}
        series = tuple(
            Series(
                one.name, tuple(_rounded(usd) for usd in accumulate(v or 0.0 for v in one.values))
            )
            for one in self._filled(paid, 0.0)
        )
        spend = tuple(
            Spend(name, _rounded(sum(cells[name].values())), calls[name], priced[name])
            for name in cells
        )
        return Timeline(series, sum(priced.values())), spend

    def _health(self) -> tuple[Timeline, Timeline, Timeline]:
        """Return event-loop lag, start lag and CPU: the worst of each column, per worker."""
        rows = self._rows(self._shape(sql.HEALTH)) if self._folder.health_path.is_file() else []
        n = sum(row[5] for row in rows)

        def of(place: int) -> Timeline:
            cells: Cells = {}
            for row in rows:
                if row[place] is not None:
                    cells.setdefault(f"worker {row[0]}", {})[row[1]] = _rounded(row[place])
            if self._step_s == STEPS_S[0]:
                cells = {name: _bridged(at) for name, at in cells.items()}
            return Timeline(self._filled(cells, None), n)

        return of(2), of(3), of(4)

    def _phases(self) -> tuple[Stretch, ...]:
        rows = self._rows(sql.PHASES)
        ends = [*(row[1] for row in rows), self._columns * self._step_s][1:]
        return tuple(
            Stretch(name, _rounded(start), _rounded(end), judged)
            for (name, start, judged), end in zip(rows, ends, strict=True)
        )

    def _flows(self) -> tuple[Flow, ...]:
        shown = complete(required_roles(self._objectives), outcome="l.outcome")
        asked = str(self._folder.spans_path.is_file()).lower()
        flows = [Flow(*row) for row in self._rows(sql.FLOWS.format(asked=asked, complete=shown))]
        unreported = self._verdict.accounting.unreported
        return (
            (*flows, Flow("unreported", "none expected", unreported)) if unreported else (*flows,)
        )

    def _filled(
        self, cells: Mapping[str, Mapping[int, float]], gap: float | None
    ) -> tuple[Series, ...]:
        return tuple(
            Series(name, tuple(at.get(column, gap) for column in range(self._columns)))
            for name, at in cells.items()
        )


def _limits(objectives: Iterable[Objective]) -> Iterable[Limit]:
    """Return a line per objective that bounds a drawn latency from above."""
    measures = {field: measure for measure, field in MEASURES.items()}
    for objective in objectives:
        indicator = objective.indicator
        if not isinstance(indicator, Threshold) or indicator.field not in measures:
            continue
        if indicator.population.book is not Book.LEDGER or objective.slicing is not None:
            continue
        if indicator.op not in {Operator.LTE, Operator.LT}:
            continue
        assert VALUE_FIELDS[Book.LEDGER, indicator.field].unit == "ms"
        named = [c.values for c in indicator.population.where if c.field == "provider"]
        for provider in named[0] if named else (None,):
            yield Limit(measures[indicator.field], provider, indicator.limit, objective.name)


def _bridged(at: dict[int, float]) -> dict[int, float]:
    """Fill single gaps: a sample tells of the second before it, and the seconds drift over the grid."""
    gaps = {
        column - 1: value
        for column, value in at.items()
        if column - 1 not in at and column - 2 in at
    }
    return at | gaps


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")

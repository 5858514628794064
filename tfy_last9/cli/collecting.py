"""Fetch the evidence of a run: watch while load runs, then settle, then write both Parquet files."""

from __future__ import annotations

from contextlib import ExitStack, suppress
from dataclasses import replace
from types import TracebackType
from typing import Self

from tfy_last9.adapters.clock import StoppableClock
from tfy_last9.adapters.last9.client import Last9Client
from tfy_last9.adapters.last9.counting import Counting
from tfy_last9.adapters.last9.links import link_base
from tfy_last9.adapters.last9.sampled import SampledSource
from tfy_last9.adapters.last9.settings import Last9Settings
from tfy_last9.adapters.last9.source import Last9Source
from tfy_last9.adapters.last9.survey import Reach
from tfy_last9.adapters.runfolder.asked import attribute_names
from tfy_last9.adapters.runfolder.evidence import EvidenceStore
from tfy_last9.adapters.runfolder.folder import RunFolder
from tfy_last9.adapters.runfolder.reduce import required_roles
from tfy_last9.adapters.truefoundry.control_plane import ControlPlane, ControlPlaneSettings
from tfy_last9.app.settle import SettleOutcome, settle
from tfy_last9.cli.console import Console
from tfy_last9.cli.counts import choose, count
from tfy_last9.cli.panel import SettleView
from tfy_last9.cli.trace_looks import TraceLooks, are_wanted
from tfy_last9.cli.watching import Watcher
from tfy_last9.errors import TfyError
from tfy_last9.model.objective import Objective
from tfy_last9.model.run import (
    Collection,
    Counted,
    EvidenceRecord,
    Look,
    Manifest,
    SecondOracle,
    Window,
)
from tfy_last9.ports import TraceSource

PAD_NS = 5_000_000_000
"""Clocks of generator and gateway may differ: the window reaches this much further on both sides."""
MOST_KEPT = 20
"""Collections that evidence.json remembers."""
_NS_PER_S = 1_000_000_000


class Collector:
    """Evidence of one run. `start_watching` while load runs is optional; `collect` needs a sealed run."""

    def __init__(
        self,
        folder: RunFolder,
        objectives: tuple[Objective, ...],
        settings: Last9Settings,
        control_plane: ControlPlaneSettings | None = None,
    ) -> None:
        self._folder = folder
        self._manifest = folder.read_manifest()
        self._clock = StoppableClock()
        self._open = ExitStack()
        self._settings = settings
        self._control_plane = control_plane
        self._oracle: SecondOracle | None = None
        self._objectives = objectives
        self._counts: tuple[Counted, ...] = ()
        self._client = self._open.enter_context(Last9Client(settings, self._clock))
        labels = attribute_names(objectives, self._manifest.scenario.arms)
        self._source = Last9Source(self._client, settings, self._clock, labels)
        self._book = self._open.enter_context(EvidenceStore(folder, required_roles(objectives)))
        self._earlier_looks: tuple[Look, ...] = ()
        self._earlier: tuple[Collection, ...] = ()
        if folder.evidence_path.is_file():
            before = folder.read_evidence()
            self._earlier_looks, self._earlier = before.looks, before.collections
        self._watcher: Watcher | None = None
        self._trace_looks: TraceLooks | None = None
        self._warnings: tuple[str, ...] = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop_watching()
        self._clock.stop()
        self._open.close()

    def start_watching(self) -> None:
        """Look for root spans in the background, so that it is known when each became visible."""
        self._watcher = Watcher(self._client, self._settings, self._book, self._manifest, PAD_NS)

    def look_at_spans(self) -> TraceLooks | None:
        """Fetch spans while load runs too, where they could end it; None where they could not."""
        if not are_wanted(self._manifest, self._objectives):
            return None
        self._trace_looks = TraceLooks(
            self._client, self._settings, self._folder, self._objectives, PAD_NS
        )
        return self._trace_looks

    def stop_watching(self) -> None:
        """End the background looks, whatever they are waiting for."""
        if self._trace_looks is not None:
            self._warnings += self._trace_looks.stop()
            self._trace_looks = None
        if self._watcher is not None:
            self._warnings += self._watcher.stop()
            self._watcher = None

    def collect(self, manifest: Manifest, console: Console) -> EvidenceRecord:
        """Settle and write spans.parquet, requests.parquet and evidence.json; errors end up in the record."""
        self.stop_watching()
        for warning in self._warnings:
            console.say(f"traces: {warning}")
        window = run_window(manifest)
        if window is None:
            return self._record(
                None, None, error="the run sent nothing, so there is nothing to fetch"
            )

        last_finish_ns = manifest.end_ns or window.end_ns
        view = SettleView(last_finish_ns, manifest.scenario.settle.deadline_s, self._fetched)
        try:
            with console.following(view):
                self._choose(manifest, window, console)
                outcome = settle(
                    self._chosen_source(),
                    self._book,
                    self._clock,
                    manifest.scenario.settle,
                    manifest.run_id,
                    window,
                    last_finish_ns,
                    view.take,
                )
        except TfyError as error:
            return self._record(window, None, error=error.message)
        self._book.save()
        if manifest.ended == "unsettled" and outcome.error is None:
            ended = "schedule" if manifest.early_stop is None else "stopped"
            self._folder.write_manifest(replace(manifest, ended=ended))
        self._ask_control_plane(window, console)
        if self._book.sample is not None:
            counting = Counting(self._client, self._settings.service, self._settings.page_limit)
            ledger = self._folder.require_ledger()
            self._counts, warnings = count(
                counting, self._source, ledger, self._objectives, manifest
            )
            self._warnings += warnings
        if outcome.displaced_ns is not None:
            self._warnings += (_displaced(outcome.displaced_ns),)
        console.say(_told(outcome, (self._clock.now_ns() - last_finish_ns) / _NS_PER_S))
        return self._record(window, outcome, error=outcome.error)

    def _fetched(self) -> tuple[int, int]:
        return self._client.counters.queries, self._client.counters.rows

    def _choose(self, manifest: Manifest, window: Window, console: Console) -> None:
        """Decide between rows and counts by what there is to read."""
        expected = self._book.expected_traces()
        survey = self._source.surveyed(manifest.run_id, window, expected)
        choice = choose(self._settings, survey, self._objectives, manifest)
        self._book.sample = choice.sample
        if choice.note is not None:
            self._warnings += (choice.note,)
            console.say(f"traces: {choice.note}")
        if choice.sample is not None:
            console.say(
                f"traces: Last9 counts; {choice.sample.per_provider:,} traces per provider are looked up"
            )

    def _ask_control_plane(self, window: Window, console: Console) -> None:
        """Ask the second oracle which side lost what is lost, where there is one and something to ask."""
        lost = self._book.lost() if self._control_plane is not None else ()
        if not lost or self._control_plane is None:
            return
        around = Window(window.start_ns - PAD_NS, window.end_ns + PAD_NS)
        with ControlPlane(self._control_plane, self._clock) as control_plane:
            self._oracle = control_plane.look_for(lost, around)
        if self._oracle.error is not None:
            self._warnings += (f"which side lost traces is not known: {self._oracle.error}",)
        console.say(_asked(self._oracle))

    def _chosen_source(self) -> TraceSource:
        if self._book.sample is None:
            return self._source
        return SampledSource(self._source, self._book.unnamed_requests)

    def _record(
        self, window: Window | None, outcome: SettleOutcome | None, error: str | None
    ) -> EvidenceRecord:
        settings = self._manifest.scenario.settle
        counters = self._client.counters
        record = EvidenceRecord(
            strategy=self._strategy(outcome),
            window=window,
            region=None,
            organisation=None,
            cluster=None,
            link_base=None,
            queries=counters.queries,
            rows_fetched=counters.rows,
            bytes_fetched=counters.bytes,
            truncated=outcome.truncated if outcome else (),
            late_after_s=settings.late_after_s,
            deadline_s=settings.deadline_s,
            settled=outcome.settled if outcome else False,
            history=outcome.history if outcome else (),
            problems=outcome.problems if outcome else (),
            error=error,
            warnings=self._warnings,
            reach=self._source.reach.value,
            contents=self._source.contents,
            oracle=self._oracle,
            counts=self._counts,
            service=self._settings.service,
            sample=self._book.sample if outcome is not None else None,
            looks=(*self._earlier_looks, *self._looks(window, outcome))[-MOST_KEPT:],
            collections=(*self._earlier, self._collection(outcome, error))[-MOST_KEPT:],
        )
        record = self._placed(record)
        self._folder.write_evidence(record)
        return record

    def _strategy(self, outcome: SettleOutcome | None) -> str:
        if outcome is None:
            return "none"
        return "rows" if self._book.sample is None else "counts"

    def _looks(self, window: Window | None, outcome: SettleOutcome | None) -> tuple[Look, ...]:
        looked_at_all = self._book.sample is None
        if window is None or outcome is None or outcome.looked_ns is None or not looked_at_all:
            return ()
        return (Look(window, outcome.looked_ns, self._source.reach is Reach.TRACES),)

    def _collection(self, outcome: SettleOutcome | None, error: str | None) -> Collection:
        return Collection(
            at_ns=self._clock.now_ns(),
            expected=outcome.expected if outcome else 0,
            complete=outcome.complete if outcome else 0,
            spans=self._book.saved_spans,
            queries=self._client.counters.queries,
            bytes_fetched=self._client.counters.bytes,
            error=error,
        )

    def _placed(self, record: EvidenceRecord) -> EvidenceRecord:
        """Add where the traces are, as far as that is known."""
        with suppress(TfyError):
            place = self._client.place()
            return replace(
                record,
                region=place.region,
                cluster=place.cluster,
                organisation=self._client.organisation,
                link_base=link_base(self._client.api_url, self._client.organisation),
            )
        return record


def run_window(manifest: Manifest) -> Window | None:
    """Return where the run's spans started, padded; None when nothing was sent."""
    if manifest.start_ns is None or manifest.counters is None or not manifest.counters.started:
        return None
    end_ns = manifest.end_ns or manifest.start_ns + int(manifest.scenario.duration_s * _NS_PER_S)
    return Window(manifest.start_ns - PAD_NS, end_ns + PAD_NS)


def _displaced(by_ns: int) -> str:
    seconds, side = abs(by_ns) / _NS_PER_S, "before" if by_ns < 0 else "after"
    return (
        f"traces of the run start {seconds:.0f} s {side} it: the clocks of this machine and of the"
        " gateway differ (check NTP on both); durations are not affected"
    )


def _asked(oracle: SecondOracle) -> str:
    if oracle.error is not None:
        return f"traces: {oracle.error}"
    return (
        f"traces: TrueFoundry has {len(oracle.found):,} of {len(oracle.asked):,} that Last9 lacks"
        " (lost between export and Last9); the others were lost before the export"
    )


def _told(outcome: SettleOutcome, after_s: float) -> str:
    if outcome.nothing_expected:
        return "traces: none expected"
    words = "settled" if outcome.settled else "deadline"
    return (
        f"traces: {outcome.complete} of {outcome.expected} complete in Last9 "
        f"({words}, {after_s:.1f} s after the last answer)"
    )

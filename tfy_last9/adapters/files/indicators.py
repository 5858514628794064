"""An SLI of an OpenSLO file to one of our indicators: threshold, scalar, ratio, completeness."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tfy_last9.adapters.files.complaints import shown
from tfy_last9.adapters.files.metric_spec import MetricSpec
from tfy_last9.adapters.files.openslo_document import (
    Metric,
    ObjectivePart,
    RatioMetric,
    SliSpec,
)
from tfy_last9.adapters.files.places import Document, Trail, nearest
from tfy_last9.errors import FileProblem
from tfy_last9.model.objective import (
    Book,
    Completeness,
    Indicator,
    Operator,
    Population,
    Quality,
    Ratio,
    Scalar,
    Threshold,
)
from tfy_last9.model.trace import Role


@dataclass(frozen=True, slots=True)
class References:
    """What `metricSourceRef` may name, over all files."""

    sources: Mapping[str, str]
    """DataSource name to type."""
    broken: frozenset[str]
    """Names whose objects have faults of their own."""


@dataclass(frozen=True, slots=True)
class IndicatorReader:
    """Reads one SLI where it was written; complaints are collected in `problems`."""

    document: Document
    trail: Trail
    """Place of the SLI's spec."""
    references: References
    problems: list[FileProblem]

    def read(self, sli: SliSpec, part: ObjectivePart) -> tuple[Indicator, tuple[str, ...]] | None:
        """Return the indicator and its group labels; None when a complaint prevents it."""
        before = len(self.problems)
        if sli.threshold_metric is not None:
            found = self._threshold(sli.threshold_metric, part)
        else:
            assert sli.ratio_metric is not None
            found = self._ratio(sli.ratio_metric)
        return found if len(self.problems) == before else None

    def _threshold(
        self, metric: Metric, part: ObjectivePart
    ) -> tuple[Indicator, tuple[str, ...]] | None:
        spec = self._spec(metric, "thresholdMetric")
        if spec is None or part.op is None or part.value is None:
            return None
        operator = Operator(part.op)
        if "scalar" in spec.data:
            spec.only("scalar", "groupBy", "where")
            scalar = Scalar(spec.book, spec.scalar(), operator, part.value, spec.where())
            return scalar, spec.group_by()
        span = () if spec.book is Book.LEDGER else ("span",)
        spec.only(*span, "field", "groupBy", "where")
        threshold = Threshold(spec.population(), spec.field(), operator, part.value)
        return threshold, spec.group_by()

    def _ratio(self, metric: RatioMetric) -> tuple[Indicator, tuple[str, ...]] | None:
        assert metric.total is not None
        total = self._spec(metric.total, "ratioMetric", "total")
        share = metric.bad or metric.good
        assert share is not None
        part = self._spec(share, "ratioMetric", "bad" if metric.bad else "good")
        if total is None or part is None:
            return None
        if metric.bad:
            return self._bad_share(part, total)
        if "match" in part.data or "require" in part.data:
            return self._completeness(part, total)
        return self._good_share(part, total)

    def _bad_share(self, bad: MetricSpec, total: MetricSpec) -> tuple[Indicator, tuple[str, ...]]:
        population = self._population(bad, total, "bad")
        conditions = bad.conditions()
        if not conditions:
            bad.complain(message="say what is bad, for example status: error or outcome: [timeout]")
        return Ratio(population, conditions), total.group_by()

    def _good_share(self, good: MetricSpec, total: MetricSpec) -> tuple[Indicator, tuple[str, ...]]:
        population = self._population(good, total, "good")
        quality = good.quality()
        if quality == Quality():
            good.complain(
                message="say what is good, for example outcome: ok, within: {ttft_ms: {lte: 1500}}"
                " or has: [input_tokens]"
            )
        return Ratio(population, (), quality), total.group_by()

    @staticmethod
    def _population(part: MetricSpec, total: MetricSpec, name: str) -> Population:
        """Return what both halves of a ratio count; they must agree about it."""
        if part.book is not total.book:
            part.complain(
                message=f"{name} is read from {part.book}, total from {total.book}; use one source"
            )
        if total.book is Book.LEDGER:
            total.only("count", "groupBy", "where")
            total.word("count", ["started"])
        else:
            total.only("span", "groupBy", "where")
        population = total.population()
        if part.role() is not population.span:
            part.complain("span", message=f"{name} and total must count spans of the same role")
        return population

    def _completeness(
        self, good: MetricSpec, total: MetricSpec
    ) -> tuple[Indicator, tuple[str, ...]]:
        if good.book is not Book.LAST9 or total.book is not Book.LEDGER:
            good.complain(
                message="match and require count completeness: good from last9, total from"
                " client-ledger"
            )
        good.only("match", "require")
        good.word("match", ["trace_id"])
        total.only("count", "groupBy", "where")
        total.word("count", ["expected"])
        require = good.words("require", [role.value for role in Role])
        roles = tuple(Role(word) for word in require)
        return Completeness(roles, total.where()), total.group_by()

    def _spec(self, metric: Metric, *steps: str) -> MetricSpec | None:
        trail = (*self.trail, *steps, "metricSource")
        book = self._book(metric, trail)
        if book is None:
            return None
        return MetricSpec(
            book, metric.metric_source.spec, self.document, (*trail, "spec"), self.problems
        )

    def _book(self, metric: Metric, trail: Trail) -> Book | None:
        """Return the book from `type`, or from the DataSource that `metricSourceRef` names."""
        source = metric.metric_source
        reference, kind, at = source.metric_source_ref, source.type, "type"
        named = self.references.sources.get(reference or "")
        if reference is not None and kind is None:
            at = "metricSourceRef"
            if named is None and reference in self.references.broken:
                return None
            if named is None:
                message = f'there is no DataSource "{reference}"'
                hint = nearest(reference, self.references.sources)
                self.problems.append(self.document.problem((*trail, at), message, hint))
                return None
            kind = named
        elif named is not None and named != kind:
            message = f'type is {shown(kind)}, but DataSource "{reference}" has type {shown(named)}'
            self.problems.append(self.document.problem((*trail, "type"), message))
        known = [book.value for book in Book]
        if kind not in known:
            message = f"expected a source of type {' or '.join(known)}, got {shown(kind)}"
            hint = nearest(str(kind), known)
            self.problems.append(self.document.problem((*trail, at), message, hint))
            return None
        return Book(kind)

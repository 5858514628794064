"""One OpenSLO SLO to our objectives: its indicators, its slices, and the settings in its annotations."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tfy_last9.adapters.files.complaints import shown
from tfy_last9.adapters.files.indicators import IndicatorReader, References
from tfy_last9.adapters.files.openslo_catalogue import Catalogue, OpenSloObject
from tfy_last9.adapters.files.openslo_document import (
    InlineIndicator,
    ObjectivePart,
    SliObject,
    SliSpec,
    SloObject,
)
from tfy_last9.adapters.files.openslo_types import Metadata, seconds
from tfy_last9.adapters.files.places import Document, Trail, nearest
from tfy_last9.model.objective import (
    Budgeting,
    Composite,
    Indicator,
    Member,
    Objective,
    Scalar,
    Slicing,
)

ANNOTATION_PREFIX = "tfy-last9/"
_ANNOTATIONS = ("tfy-last9/critical", "tfy-last9/confidence", "tfy-last9/expect")
_CONFIDENCE_RANGE = (0.5, 1.0)


@dataclass(frozen=True, slots=True)
class _Sli:
    """An SLI and where it was written."""

    spec: SliSpec
    document: Document
    trail: Trail


@dataclass(frozen=True, slots=True)
class _Settings:
    """What the annotations say."""

    critical: bool
    confidence: float
    expect: tuple[str, ...]


def objectives_of(slo: OpenSloObject, catalogue: Catalogue) -> Iterator[Objective]:
    """Yield the objectives of an SLO; what is wrong with it goes to the catalogue's problems."""
    assert isinstance(slo.parsed, SloObject)
    settings = _settings(slo, catalogue)
    parts, metadata = slo.parsed.spec.objectives, slo.parsed.metadata
    slicings = [_slicing(slo, part) for part in parts]
    if parts[0].has_indicator:
        made = _composite(slo, catalogue)
        if made is not None and _is_uniform(slo, catalogue, slicings):
            yield _objective(slo, settings, parts[0], *made, slicings[0], metadata.name, alone=True)
        return
    spec = slo.parsed.spec
    sli = _find_sli(slo, catalogue, spec.indicator, spec.indicator_ref, "spec")
    if sli is None:
        return
    if sli.spec.threshold_metric is not None and len(parts) > 1:
        message = "a threshold SLO has one objective; write another SLO for the next limit"
        catalogue.problems.append(slo.problem("spec", "objectives", 1, message=message))
    for i, part in enumerate(parts):
        read = _read(slo, catalogue, sli, part, i)
        if read is None:
            continue
        if isinstance(read[0], Scalar) and slicings[i] is not None:
            message = "a number of the whole run has no slices; use Occurrences"
            catalogue.problems.append(slo.problem("spec", "budgetingMethod", message=message))
            continue
        # A dot cannot occur in an OpenSLO name, so numbered names never meet another SLO's.
        name = metadata.name if len(parts) == 1 else f"{metadata.name}.{i + 1}"
        yield _objective(slo, settings, part, *read, slicings[i], name, alone=len(parts) == 1)


def _objective(
    slo: OpenSloObject,
    settings: _Settings,
    part: ObjectivePart,
    indicator: Indicator,
    group_by: tuple[str, ...],
    slicing: Slicing | None,
    name: str,
    *,
    alone: bool,
) -> Objective:
    assert isinstance(slo.parsed, SloObject)
    return Objective(
        name=name,
        display_name=_display_name(slo.parsed.metadata, part, alone=alone),
        service=slo.parsed.spec.service,
        indicator=indicator,
        target=part.share,
        group_by=group_by,
        critical=settings.critical,
        confidence=settings.confidence,
        path=Path(slo.document.path).name,
        line=slo.document.place((*slo.trail, "metadata", "name")).line,
        slicing=slicing,
        expect=settings.expect,
        window_s=seconds(slo.parsed.spec.time_window[0].duration),
    )


def _display_name(metadata: Metadata, part: ObjectivePart, *, alone: bool) -> str:
    title = metadata.display_name or metadata.name
    return title if alone or not part.display_name else f"{title}: {part.display_name}"


def _slicing(slo: OpenSloObject, part: ObjectivePart) -> Slicing | None:
    assert isinstance(slo.parsed, SloObject)
    method = Budgeting(slo.parsed.spec.budgeting_method)
    if part.time_slice_window is None:
        return None
    return Slicing(method, seconds(part.time_slice_window), part.time_slice_target)


def _find_sli(
    slo: OpenSloObject,
    catalogue: Catalogue,
    inline: InlineIndicator | None,
    reference: str | None,
    *at: str | int,
) -> _Sli | None:
    """Return the SLI that stands or is named at a place of the SLO."""
    if inline is not None:
        return _Sli(inline.spec, slo.document, (*slo.trail, *at, "indicator", "spec"))
    assert reference is not None
    named = catalogue.slis.get(reference)
    if named is None:
        if reference not in catalogue.broken:
            message, hint = f'there is no SLI "{reference}"', nearest(reference, catalogue.slis)
            problem = slo.problem(*at, "indicatorRef", message=message, hint=hint)
            catalogue.problems.append(problem)
        return None
    assert isinstance(named.parsed, SliObject)
    return _Sli(named.parsed.spec, named.document, (*named.trail, "spec"))


def _read(
    slo: OpenSloObject, catalogue: Catalogue, sli: _Sli, part: ObjectivePart, number: int
) -> tuple[Indicator, tuple[str, ...]] | None:
    _check_operators(slo, catalogue, sli, part, number)
    sources = References(catalogue.sources, frozenset(catalogue.broken))
    reader = IndicatorReader(sli.document, sli.trail, sources, catalogue.problems)
    return reader.read(sli.spec, part)


def _check_operators(
    slo: OpenSloObject, catalogue: Catalogue, sli: _Sli, part: ObjectivePart, number: int
) -> None:
    """`op` and `value` belong to threshold SLIs only (OpenSLO v1)."""
    threshold, at = sli.spec.threshold_metric is not None, ("spec", "objectives", number)
    if threshold and (part.op is None or part.value is None):
        message = "an objective on a thresholdMetric needs op and value"
        catalogue.problems.append(slo.problem(*at, message=message))
    if not threshold and (part.op is not None or part.value is not None):
        message = "op and value do not belong on a ratio objective; take them out"
        catalogue.problems.append(slo.problem(*at, message=message))


def _composite(
    slo: OpenSloObject, catalogue: Catalogue
) -> tuple[Composite, tuple[str, ...]] | None:
    """Return the composite and its group labels; None when a complaint prevents it."""
    assert isinstance(slo.parsed, SloObject)
    before, members, groupings = len(catalogue.problems), [], []
    for i, part in enumerate(slo.parsed.spec.objectives):
        at = ("spec", "objectives", i)
        sli = _find_sli(slo, catalogue, part.indicator, part.indicator_ref, *at)
        read = None if sli is None else _read(slo, catalogue, sli, part, i)
        if read is None:
            continue
        indicator, group_by = read
        if isinstance(indicator, Scalar | Composite):
            message = "a number of the whole run cannot be a member of a composite"
            catalogue.problems.append(slo.problem(*at, message=message))
            continue
        inline = part.indicator.metadata.name if part.indicator else None
        name = part.display_name or inline or part.indicator_ref or f"member {i + 1}"
        weight = 1.0 if part.composite_weight is None else part.composite_weight
        members.append(Member(name, indicator, part.share, weight, part.time_slice_target))
        groupings.append(group_by)
        if group_by != groupings[0]:
            message = "all members of a composite need the same groupBy: they share one budget"
            catalogue.problems.append(slo.problem(*at, message=message))
    if len(catalogue.problems) > before or len(members) < len(slo.parsed.spec.objectives):
        return None
    return Composite(tuple(members)), groupings[0]


def _is_uniform(slo: OpenSloObject, catalogue: Catalogue, slicings: list[Slicing | None]) -> bool:
    """In slices all members meet in one grid and one target."""
    assert isinstance(slo.parsed, SloObject)
    parts = slo.parsed.spec.objectives
    fine = True
    for i, (part, slicing) in enumerate(zip(parts, slicings, strict=True)):
        first = slicings[0]
        if slicing is None or first is None:
            continue
        if slicing.window_s != first.window_s or part.share != parts[0].share:
            message = "members of a composite in slices need the same timeSliceWindow and target"
            catalogue.problems.append(slo.problem("spec", "objectives", i, message=message))
            fine = False
    return fine


def _settings(slo: OpenSloObject, catalogue: Catalogue) -> _Settings:
    """Return what the annotations say."""
    annotations = slo.parsed.metadata.annotations
    for key in annotations:
        if key.startswith(ANNOTATION_PREFIX) and key not in _ANNOTATIONS:
            hint = nearest(key, _ANNOTATIONS) or f"known: {', '.join(_ANNOTATIONS)}"
            _complain(slo, catalogue, key, f'unknown annotation "{key}"', hint)
    critical = annotations.get("tfy-last9/critical", "true")
    if critical not in ("true", "false"):
        message = f'expected "true" or "false", got {shown(critical)}'
        _complain(slo, catalogue, "tfy-last9/critical", message)
    expect = annotations.get("tfy-last9/expect", "")
    listed = tuple(filter(None, (item.strip() for item in expect.split(","))))
    return _Settings(critical == "true", _confidence(slo, catalogue), listed)


def _confidence(slo: OpenSloObject, catalogue: Catalogue) -> float:
    text = slo.parsed.metadata.annotations.get("tfy-last9/confidence", "0.95")
    low, high = _CONFIDENCE_RANGE
    try:
        value = float(text)
    except ValueError:
        value = high
    if not low < value < high:
        message = f'expected a share between 0.5 and 1 such as "0.95", got {shown(text)}'
        _complain(slo, catalogue, "tfy-last9/confidence", message)
    return value


def _complain(
    slo: OpenSloObject, catalogue: Catalogue, key: str, message: str, hint: str | None = None
) -> None:
    at = ("metadata", "annotations", key)
    catalogue.problems.append(slo.problem(*at, message=message, hint=hint))

"""OpenSLO v1 files to objectives. Strict: what would be silently ignored elsewhere is an error here.

References (`indicatorRef`, `metricSourceRef`) are resolved over all files that are loaded together.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from tfy_last9.adapters.files.complaints import complaints, shown
from tfy_last9.adapters.files.indicators import IndicatorReader, References
from tfy_last9.adapters.files.openslo_document import (
    API_VERSION,
    KINDS,
    MODELS,
    DataSourceObject,
    Envelope,
    Metadata,
    ObjectivePart,
    SliObject,
    SliSpec,
    SloObject,
)
from tfy_last9.adapters.files.places import Document, Trail, nearest, read_documents
from tfy_last9.errors import FileProblem, FileProblems
from tfy_last9.model.objective import Objective

ANNOTATION_PREFIX = "tfy-last9/"
_ANNOTATIONS = ("tfy-last9/critical", "tfy-last9/confidence")
_CONFIDENCE_RANGE = (0.5, 1.0)


@dataclass(frozen=True, slots=True)
class _Object:
    """One OpenSLO object and where it stands."""

    parsed: Envelope
    document: Document
    trail: Trail

    def problem(self, *steps: str | int, message: str, hint: str | None = None) -> FileProblem:
        return self.document.problem((*self.trail, *steps), message, hint)


@dataclass(slots=True)
class _Catalogue:
    """Everything that was read, and everything that is wrong with it."""

    objects: dict[tuple[str, str], _Object] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)
    """Names of objects with faults of their own: that they cannot be referred to is no second fault."""
    problems: list[FileProblem] = field(default_factory=list)

    @property
    def slos(self) -> list[_Object]:
        return [item for (kind, _), item in self.objects.items() if kind == "SLO"]

    @property
    def sources(self) -> dict[str, str]:
        return {
            name: item.parsed.spec.type
            for (_, name), item in self.objects.items()
            if isinstance(item.parsed, DataSourceObject)
        }

    @property
    def slis(self) -> dict[str, _Object]:
        return {name: item for (kind, name), item in self.objects.items() if kind == "SLI"}

    def add(self, item: _Object) -> None:
        name = item.parsed.metadata.name
        first = self.objects.setdefault((item.parsed.kind, name), item)
        if first is not item:
            place = first.document.place((*first.trail, "metadata", "name"))
            message = (
                f'{item.parsed.kind} "{name}" is defined twice;'
                f" first in {first.document.path}:{place.line}"
            )
            self.problems.append(item.problem("metadata", "name", message=message))


def slo_files(path: Path) -> list[Path]:
    """Return the SLO files at `path`: itself, or the `*.yaml` and `*.yml` of a folder, sorted by name."""
    if path.is_dir():
        return sorted(item for item in path.iterdir() if item.suffix in (".yaml", ".yml"))
    return [path]


def load_objectives(path: Path) -> tuple[Objective, ...]:
    """Read a file or a folder (not recursive); raises `FileProblems` with every fault of every file."""
    catalogue = _Catalogue()
    for file in slo_files(path):
        documents, problems = read_documents(file)
        catalogue.problems += problems
        for document in documents:
            for trail, data in _objects(document):
                _read_object(document, trail, data, catalogue)
    objectives = [made for slo in catalogue.slos for made in _objectives(slo, catalogue)]
    if not catalogue.slos and not catalogue.problems:
        message = "no SLO found: a run without objectives can never pass"
        catalogue.problems.append(FileProblem(str(path), 0, 0, message))
    if catalogue.problems:
        order = sorted(catalogue.problems, key=lambda fault: (fault.path, fault.line, fault.column))
        raise FileProblems(tuple(dict.fromkeys(order)))
    return tuple(objectives)


def _objects(document: Document) -> Iterator[tuple[Trail, Any]]:
    """Yield the objects of a document, which holds one or a list of them."""
    if isinstance(document.data, list):
        yield from (((i,), item) for i, item in enumerate(document.data))
    else:
        yield (), document.data


def _read_object(document: Document, trail: Trail, data: Any, catalogue: _Catalogue) -> None:
    if not isinstance(data, dict):
        message = f"expected an OpenSLO object, got {shown(data)}"
        catalogue.problems.append(document.problem(trail, message))
        return
    wrong = _wrong_kind(document, trail, data)
    if wrong:
        catalogue.problems += wrong
        return
    model = MODELS.get(data["kind"], Envelope)
    try:
        parsed = model.model_validate(data)
    except ValidationError as error:
        catalogue.problems += complaints(error, document, model, start=trail)
        metadata = data.get("metadata")
        if isinstance(metadata, dict) and isinstance(metadata.get("name"), str):
            catalogue.broken.add(metadata["name"])
        return
    catalogue.add(_Object(parsed, document, trail))


def _wrong_kind(document: Document, trail: Trail, data: dict[str, Any]) -> list[FileProblem]:
    problems = []
    version, kind = data.get("apiVersion"), data.get("kind")
    if version != API_VERSION:
        message = f"expected apiVersion: {API_VERSION}, got {shown(version)}"
        hint = None
        if version in ("openslo/v1alpha", "openslo.com/v2alpha"):
            message, hint = f"apiVersion {version} is not supported", f"convert it to {API_VERSION}"
        problems.append(document.problem((*trail, "apiVersion"), message, hint))
    if kind not in KINDS:
        message = f"expected a kind of {', '.join(KINDS)}, got {shown(kind)}"
        problems.append(document.problem((*trail, "kind"), message, nearest(str(kind), KINDS)))
    return problems


def _objectives(slo: _Object, catalogue: _Catalogue) -> Iterator[Objective]:
    assert isinstance(slo.parsed, SloObject)
    critical, confidence = _settings(slo, catalogue.problems)
    found = _sli(slo, catalogue)
    if found is None:
        return
    sli, document, trail = found
    parts, metadata = slo.parsed.spec.objectives, slo.parsed.metadata
    sources = References(catalogue.sources, frozenset(catalogue.broken))
    reader = IndicatorReader(document, trail, sources, catalogue.problems)
    _check_operators(slo, sli, parts, catalogue.problems)
    for i, part in enumerate(parts):
        read = reader.read(sli, part)
        if read is None:
            continue
        indicator, group_by = read
        yield Objective(
            # A dot cannot occur in an OpenSLO name, so numbered names never meet another SLO's.
            name=metadata.name if len(parts) == 1 else f"{metadata.name}.{i + 1}",
            display_name=_display_name(metadata, part, alone=len(parts) == 1),
            service=slo.parsed.spec.service,
            indicator=indicator,
            target=part.share,
            group_by=group_by,
            critical=critical,
            confidence=confidence,
            path=Path(slo.document.path).name,
            line=slo.document.place((*slo.trail, "metadata", "name")).line,
        )


def _display_name(metadata: Metadata, part: ObjectivePart, *, alone: bool) -> str:
    title = metadata.display_name or metadata.name
    return title if alone or not part.display_name else f"{title}: {part.display_name}"


def _sli(slo: _Object, catalogue: _Catalogue) -> tuple[SliSpec, Document, Trail] | None:
    assert isinstance(slo.parsed, SloObject)
    spec = slo.parsed.spec
    if spec.indicator is not None:
        return spec.indicator.spec, slo.document, (*slo.trail, "spec", "indicator", "spec")
    named = catalogue.slis.get(spec.indicator_ref or "")
    if named is None and spec.indicator_ref in catalogue.broken:
        return None
    if named is None:
        message = f'there is no SLI "{spec.indicator_ref}"'
        hint = nearest(spec.indicator_ref or "", catalogue.slis)
        catalogue.problems.append(slo.problem("spec", "indicatorRef", message=message, hint=hint))
        return None
    assert isinstance(named.parsed, SliObject)
    return named.parsed.spec, named.document, (*named.trail, "spec")


def _check_operators(
    slo: _Object, sli: SliSpec, parts: list[ObjectivePart], problems: list[FileProblem]
) -> None:
    """`op` and `value` belong to threshold SLIs, and there only to a single objective (OpenSLO v1)."""
    threshold = sli.threshold_metric is not None
    if threshold and len(parts) > 1:
        message = "a threshold SLO has one objective; write another SLO for the next limit"
        problems.append(slo.problem("spec", "objectives", 1, message=message))
    for i, part in enumerate(parts):
        at = ("spec", "objectives", i)
        if threshold and (part.op is None or part.value is None):
            message = "an objective on a thresholdMetric needs op and value"
            problems.append(slo.problem(*at, message=message))
        if not threshold and (part.op is not None or part.value is not None):
            message = "op and value do not belong on a ratio objective; take them out"
            problems.append(slo.problem(*at, message=message))


def _settings(slo: _Object, problems: list[FileProblem]) -> tuple[bool, float]:
    """Return `critical` and `confidence` from the annotations."""
    annotations = slo.parsed.metadata.annotations
    for key in annotations:
        if key.startswith(ANNOTATION_PREFIX) and key not in _ANNOTATIONS:
            hint = nearest(key, _ANNOTATIONS) or f"known: {', '.join(_ANNOTATIONS)}"
            message = f'unknown annotation "{key}"'
            problems.append(slo.problem("metadata", "annotations", key, message=message, hint=hint))
    critical = annotations.get("tfy-last9/critical", "true")
    if critical not in ("true", "false"):
        message = f'expected "true" or "false", got {shown(critical)}'
        at = ("metadata", "annotations", "tfy-last9/critical")
        problems.append(slo.problem(*at, message=message))
    return critical == "true", _confidence(slo, problems)


def _confidence(slo: _Object, problems: list[FileProblem]) -> float:
    text = slo.parsed.metadata.annotations.get("tfy-last9/confidence", "0.95")
    low, high = _CONFIDENCE_RANGE
    try:
        value = float(text)
    except ValueError:
        value = high
    if not low < value < high:
        message = f'expected a share between 0.5 and 1 such as "0.95", got {shown(text)}'
        at = ("metadata", "annotations", "tfy-last9/confidence")
        problems.append(slo.problem(*at, message=message))
    return value

"""OpenSLO v1 files to objectives. Strict: what would be silently ignored elsewhere is an error here.

References (`indicatorRef`, `metricSourceRef`, alert references) are resolved over all files that are
loaded together.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from tfy_last9.adapters.files.complaints import complaints, shown
from tfy_last9.adapters.files.openslo_alerts import (
    AlertPolicyReference,
    AlertPolicySpec,
    ConditionReference,
    TargetReference,
)
from tfy_last9.adapters.files.openslo_catalogue import Catalogue, OpenSloObject
from tfy_last9.adapters.files.openslo_document import (
    API_VERSION,
    KINDS,
    MODELS,
    AlertPolicyObject,
    Envelope,
    SloObject,
)
from tfy_last9.adapters.files.openslo_objectives import objectives_of
from tfy_last9.adapters.files.places import Document, Trail, nearest, read_documents
from tfy_last9.errors import FileProblem, FileProblems
from tfy_last9.model.objective import Objective


def slo_files(path: Path) -> list[Path]:
    """Return the SLO files at `path`: itself, or the `*.yaml` and `*.yml` of a folder, sorted by name."""
    if path.is_dir():
        return sorted(item for item in path.iterdir() if item.suffix in (".yaml", ".yml"))
    return [path]


def load_objectives(path: Path) -> tuple[Objective, ...]:
    """Read a file or a folder (not recursive); raises `FileProblems` with every fault of every file."""
    catalogue = Catalogue()
    for file in slo_files(path):
        documents, problems = read_documents(file)
        catalogue.problems += problems
        for document in documents:
            for trail, data in _objects(document):
                _read_object(document, trail, data, catalogue)
    objectives = [made for slo in catalogue.slos for made in objectives_of(slo, catalogue)]
    _resolve_alerts(catalogue)
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


def _read_object(document: Document, trail: Trail, data: Any, catalogue: Catalogue) -> None:
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
    catalogue.add(OpenSloObject(parsed, document, trail))


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


def _resolve_alerts(catalogue: Catalogue) -> None:
    """Alerts are not sent from here, but a reference that leads nowhere would fail elsewhere."""
    for item in list(catalogue.objects.values()):
        if isinstance(item.parsed, AlertPolicyObject):
            _resolve_policy(catalogue, item, item.parsed.spec, "spec")
        if not isinstance(item.parsed, SloObject):
            continue
        for i, policy in enumerate(item.parsed.spec.alert_policies):
            at = ("spec", "alertPolicies", i)
            if isinstance(policy, AlertPolicyReference):
                name = policy.alert_policy_ref
                catalogue.resolve("AlertPolicy", name, item, *at, "alertPolicyRef")
            else:
                _resolve_policy(catalogue, item, policy.spec, *at, "spec")


def _resolve_policy(
    catalogue: Catalogue, item: OpenSloObject, policy: AlertPolicySpec, *at: str | int
) -> None:
    for i, condition in enumerate(policy.conditions):
        if isinstance(condition, ConditionReference):
            name, place = condition.condition_ref, (*at, "conditions", i, "conditionRef")
            catalogue.resolve("AlertCondition", name, item, *place)
    for i, target in enumerate(policy.notification_targets):
        if isinstance(target, TargetReference):
            name, place = target.target_ref, (*at, "notificationTargets", i, "targetRef")
            catalogue.resolve("AlertNotificationTarget", name, item, *place)

"""Scenario files and the scenario stored in `run.json`, to and from `model.scenario.Scenario`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import TypeAdapter, ValidationError

from tfy_last9.adapters.files.arms_document import arm_faults, arms_of, baseline_of
from tfy_last9.adapters.files.arrivals_document import read_offsets, shape_of
from tfy_last9.adapters.files.complaints import complaints
from tfy_last9.adapters.files.places import Document, read_documents
from tfy_last9.adapters.files.prompt_document import prompt_of, sessions_of
from tfy_last9.adapters.files.scenario_document import PolicyPart, ScenarioDocument, TargetPart
from tfy_last9.adapters.files.target_parts import checks_of, mcp_of, price_of, quota_of
from tfy_last9.adapters.files.target_rules import target_faults
from tfy_last9.errors import BrokenRun, FileProblem, FileProblems
from tfy_last9.model.provider import canonical
from tfy_last9.model.scenario import (
    CONVERSATIONAL,
    Api,
    ArrivalKind,
    Cache,
    Curve,
    Driver,
    Limits,
    OnInconclusive,
    Phase,
    Policy,
    Prompt,
    Scenario,
    Settle,
    Target,
)


def load_scenario(path: Path) -> Scenario:
    """Read a scenario file; raises `FileProblems` with every fault and its place."""
    documents, problems = read_documents(path)
    if len(documents) > 1:
        problems.append(documents[1].problem((), "a scenario file holds one document, got several"))
    parsed = None
    if documents:
        document = documents[0]
        problems += _repeated_names(document, "targets") + _repeated_names(document, "phases")
        parsed, faults = _parse(document)
        problems += faults + (_arm_problems(document, parsed) if parsed is not None else [])
        if parsed is not None:
            shape, faults = _shape(document, parsed, path.parent)
            problems += faults
            problems += [document.problem(*fault) for fault in target_faults(parsed)]
    if problems or parsed is None:
        raise FileProblems(tuple(sorted(problems, key=lambda fault: (fault.line, fault.column))))
    return replace(_scenario(parsed), curve=shape.curve, offsets_s=shape.offsets_s)


def scenario_schema() -> dict[str, Any]:
    """Return the JSON Schema of scenario files, as published in `tfy_last9/schemas/`."""
    schema = ScenarioDocument.model_json_schema(by_alias=True)
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
    schema["title"] = "tfy-last9 scenario"
    _say_defaults_as_written(schema)
    return schema


def write_scenario_schema(path: Path) -> None:
    """Write the schema file that the package ships; a test compares it with `scenario_schema()`."""
    path.write_text(json.dumps(scenario_schema(), indent=2) + "\n", encoding="utf-8")


def scenario_to_json(scenario: Scenario) -> dict[str, Any]:
    """Return the resolved scenario as JSON data: durations in seconds, rates per second."""
    data: dict[str, Any] = _stored().dump_python(scenario, mode="json")
    return data


def scenario_from_json(data: Mapping[str, Any]) -> Scenario:
    """Return the scenario that `scenario_to_json` wrote."""
    try:
        return _stored().validate_python(dict(data))
    except ValidationError as error:
        raise BrokenRun(
            f"the stored scenario cannot be read: {error.errors()[0]['msg']}",
            hint="the run folder was written by another version, or edited",
        ) from error


@cache
def _stored() -> TypeAdapter[Scenario]:
    return TypeAdapter(Scenario)


def _parse(document: Document) -> tuple[ScenarioDocument | None, list[FileProblem]]:
    try:
        parsed = ScenarioDocument.model_validate(document.data)
    except ValidationError as error:
        return None, complaints(error, document, ScenarioDocument)
    problems = []
    if not any(phase.judged for phase in parsed.phases):
        problems.append(
            document.problem(("phases",), "no phase is judged, so nothing could be decided")
        )
    if parsed.settle.late_after > parsed.settle.deadline:
        problems.append(
            document.problem(
                ("settle", "late_after"),
                "late_after is beyond the deadline, so no trace could be late",
            )
        )
    return parsed, problems


class _Shape(NamedTuple):
    curve: Curve | None = None
    offsets_s: tuple[float, ...] = ()


def _shape(
    document: Document, parsed: ScenarioDocument, folder: Path
) -> tuple[_Shape, list[FileProblem]]:
    """Return how the rate changes over the schedule, and what is wrong with that."""
    arrivals, duration_s = parsed.arrivals, sum(phase.duration for phase in parsed.phases)
    problems: list[FileProblem] = []
    shape = _Shape()
    try:
        offsets_s = read_offsets(folder / arrivals.file, duration_s) if arrivals.file else ()
        shape = _Shape(shape_of(arrivals, duration_s), offsets_s)
    except (OSError, ValueError) as error:
        problems.append(document.problem(("arrivals",), str(error)))
    for i, phase in enumerate(parsed.phases):
        if phase.rate is not None and arrivals.kind not in ("constant", "poisson"):
            message = f"{arrivals.kind} arrivals set the rate of the whole schedule, not of a phase"
            problems.append(document.problem(("phases", i, "rate"), message))
    return shape, problems


def _arm_problems(document: Document, parsed: ScenarioDocument) -> list[FileProblem]:
    problems = []
    if parsed.arms is not None:
        names = [part.name for part in parsed.targets]
        faults = arm_faults(parsed.arms, names)
        problems += [document.problem(trail, message) for trail, message in faults]
    endless = parsed.arrivals.kind in ("constant", "poisson")
    if parsed.policy.on_inconclusive == "extend" and not endless:
        message = "on-inconclusive: extend needs constant or poisson arrivals, which can go on"
        problems.append(document.problem(("policy", "on-inconclusive"), message))
    if parsed.arrivals.kind == "closed":
        problems += _closed_problems(document, parsed)
    if parsed.cache == "warm" and all(phase.judged for phase in parsed.phases):
        message = "cache: warm needs a phase with `judged: false` that warms the caches"
        problems.append(document.problem(("cache",), message))
    return problems


def _closed_problems(document: Document, parsed: ScenarioDocument) -> list[FileProblem]:
    """Return what needs a schedule that a closed loop does not have."""
    problems = []
    if parsed.policy.early_stop:
        message = (
            "early-stop needs a schedule: a closed loop does not know how much is still to come"
        )
        problems.append(document.problem(("policy", "early-stop"), message))
    if parsed.arms is not None and parsed.arms.mirror:
        message = "mirrored arms need a schedule: users of a closed loop send one request at a time"
        problems.append(document.problem(("arms", "mirror"), message))
    return problems


def _repeated_names(document: Document, key: str) -> list[FileProblem]:
    """Names are labels in reports and metadata: two of a kind would be added up silently."""
    items = document.data.get(key) if isinstance(document.data, dict) else None
    problems = []
    lines: dict[str, int] = {}
    for i, item in enumerate(items if isinstance(items, list) else ()):
        name = item.get("name") if isinstance(item, dict) else None
        if not isinstance(name, str):
            continue
        trail = (key, i, "name")
        if name in lines:
            message = f'{key[:-1]} "{name}" is defined twice; first on line {lines[name]}'
            problems.append(document.problem(trail, message))
        lines.setdefault(name, document.place(trail).line)
    return problems


def _scenario(document: ScenarioDocument) -> Scenario:
    limits, settle = document.limits, document.settle
    return Scenario(
        name=document.name,
        description=document.description,
        driver=Driver(document.driver),
        seed=document.seed,
        arrivals=ArrivalKind(document.arrivals.kind),
        targets=tuple(_target(part) for part in document.targets),
        phases=tuple(
            Phase(part.name, part.duration, part.rate or document.arrivals.rate or 0.0, part.judged)
            for part in document.phases
        ),
        prompts=tuple(prompt_of(part) for part in document.prompts or ()) or (Prompt(()),),
        limits=Limits(
            *(document.arrivals.users or limits.users, limits.connect, limits.first_token),
            *(limits.idle, limits.total),
            usd=limits.usd,
            tokens=limits.tokens,
            stop_after_failures=limits.stop_after_failures,
        ),
        metadata=dict(document.metadata),
        settle=Settle(settle.deadline, settle.late_after, settle.poll),
        policy=_policy(document.policy),
        arms=None if document.arms is None else arms_of(document.arms),
        cache=Cache(document.cache),
        sampling=document.sampling,
        think_s=document.arrivals.think or 0.0,
        think_even=document.arrivals.gaps == "even",
        sessions=sessions_of(document.sessions),
    )


def _policy(part: PolicyPart) -> Policy:
    return Policy(
        OnInconclusive(part.on_inconclusive),
        part.early_stop,
        part.looks,
        part.retries,
        baseline_of(part.baseline),
    )


def _target(part: TargetPart) -> Target:
    api = Api(part.api)
    named = part.provider or (part.server if part.may_reach is None else None)
    provider = None if named is None else str(canonical(named))
    reach = (
        [provider] if provider is not None else [canonical(name) for name in part.may_reach or ()]
    )
    return Target(
        name=part.name,
        model=part.server or part.model or "",
        provider=provider,
        may_reach=tuple(dict.fromkeys(str(name) for name in reach)),
        api=api,
        stream=api in CONVERSATIONAL if part.stream is None else part.stream,
        weight=part.weight,
        max_tokens=part.max_tokens,
        headers=dict(part.headers),
        body=dict(part.body),
        path=part.path,
        prompt_key=part.prompt_key,
        mcp=mcp_of(part.mcp),
        checks=checks_of(part.checks),
        quota=quota_of(part.quota),
        standby=tuple(dict.fromkeys(str(canonical(name)) for name in part.standby)),
        price=price_of(part.price),
    )


def _say_defaults_as_written(schema: Any) -> None:
    """Durations default to seconds inside the models; a file writes them with their unit."""
    if isinstance(schema, list):
        for item in schema:
            _say_defaults_as_written(item)
    elif isinstance(schema, dict):
        default = schema.get("default")
        if isinstance(default, float) and schema.get("type") == "string":
            schema["default"] = f"{default:g}s"
        elif isinstance(default, dict) and default:
            del schema["default"]
        for item in schema.values():
            _say_defaults_as_written(item)

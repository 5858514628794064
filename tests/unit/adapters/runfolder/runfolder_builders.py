"""Tiny runs on disk: rows and spans with defaults, written through the real sealing and saving."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path

from tfy_last9.adapters.runfolder.evidence import EvidenceStore
from tfy_last9.adapters.runfolder.folder import RunFolder
from tfy_last9.adapters.runfolder.reduce import Reduction
from tfy_last9.adapters.runfolder.seal import seal
from tfy_last9.model.objective import (
    Book,
    Completeness,
    Condition,
    Objective,
    Operator,
    Population,
    Ratio,
    Threshold,
)
from tfy_last9.model.request import LedgerRow
from tfy_last9.model.run import EvidenceRecord, Manifest, Window
from tfy_last9.model.scenario import (
    Api,
    ArrivalKind,
    Driver,
    Limits,
    Message,
    OnInconclusive,
    Phase,
    Policy,
    Prompt,
    Scenario,
    Settle,
    Target,
)
from tfy_last9.model.trace import Role, Span, SpanStatus
from tfy_last9.ports import Page

RUN = "r1"
EPOCH_NS = 1_790_000_000_000_000_000
MS = 1_000_000
S = 1_000_000_000
NOTHING_NULL = tuple(LedgerRow._fields)


def trace_of(seq: int) -> str:
    return f"{0xA000 + seq:032x}"


def build_row(seq: int = 0, **overrides: object) -> dict[str, object]:
    """A streamed request to openai, due at `seq` seconds, first token after 300 ms, done after 1 s."""
    due_ns = seq * S
    row: dict[str, object] = dict.fromkeys(NOTHING_NULL)
    row |= {
        "run_id": RUN,
        "request_id": f"{RUN}.{seq}",
        "worker": 0,
        "seq": seq,
        "phase": "steady",
        "target": "openai",
        "provider": "openai",
        "model": "openai-main/gpt-4o-mini",
        "api": "chat",
        "stream": True,
        "attempt": 1,
        "due_ns": due_ns,
        "started_ns": due_ns + MS,
        "written": True,
        "first_byte_ns": due_ns + 290 * MS,
        "first_token_ns": due_ns + 300 * MS,
        "first_answer_ns": due_ns + 310 * MS,
        "last_token_ns": due_ns + 990 * MS,
        "finished_ns": due_ns + 1000 * MS,
        "epoch_ns": EPOCH_NS,
        "clock": "kernel",
        "status": 200,
        "outcome": "ok",
        "finish_reason": "stop",
        "input_tokens": 12,
        "output_tokens": 20,
        "chunks": 20,
        "max_gap_ns": 50 * MS,
        "client_trace_id": f"{0xC000 + seq:032x}",
        "trace_id": trace_of(seq),
        "root_span_id": f"{seq:08x}00000000",
    }
    assert overrides.keys() <= row.keys(), overrides.keys() - row.keys()
    return row | overrides


def build_missed(seq: int) -> dict[str, object]:
    return build_row(seq, outcome="missed", written=False, **unsent(), started_ns=None)


def unsent() -> dict[str, object]:
    """What is null in a row that never reached the gateway."""
    names = ("first_byte_ns", "first_token_ns", "first_answer_ns", "last_token_ns", "finished_ns")
    rest = ("status", "finish_reason", "input_tokens", "output_tokens", "chunks", "max_gap_ns")
    return dict.fromkeys((*names, *rest, "trace_id", "root_span_id"))


def build_span(seq: int = 0, role: Role = Role.MODEL, **overrides: object) -> Span:
    """A span of the trace of request `seq`: root, model or http, nested in that order."""
    depth = {Role.ROOT: 0, Role.MODEL: 1, Role.HTTP: 2}.get(role, 3)
    is_root = role is Role.ROOT
    typed = {Role.ROOT: "ChatCompletion", Role.MODEL: "Model", Role.GUARDRAIL: "Guardrail"}
    attributes: dict[str, object] = {}
    if role in typed:
        attributes["tfy.span_type"] = typed[role]
    if role is Role.MODEL:
        attributes |= {
            "tfy.model.streaming": True,
            "tfy.model.metric.time_to_first_token_in_ms": 280.0,
            "tfy.model.metric.input_tokens": 12,
            "tfy.model.metric.output_tokens": "20",
            "tfy.model.metric.cost_in_usd": 0.0002,
        }
    span = Span(
        trace_id=trace_of(seq),
        span_id=f"{seq:08x}{depth:08x}",
        parent_span_id=None if is_root else f"{seq:08x}{depth - 1 if depth < 3 else 0:08x}",
        name=f"{role.value} {seq}",
        kind="client" if role is Role.HTTP else "internal",
        service="tfy-llm-gateway",
        status=SpanStatus.OK,
        status_message=None,
        start_ns=EPOCH_NS + seq * S + (10 + depth) * MS,
        duration_ns=(900 - depth) * MS,
        role=role,
        provider=None if is_root else "openai",
        account=None if is_root else "openai-main",
        model=None if is_root else "openai-main/gpt-4o-mini",
        route="openai-main/gpt-4o-mini" if is_root else None,
        region=None,
        env=None,
        run_id=RUN if is_root else None,
        request_id=f"{RUN}.{seq}" if is_root else None,
        attributes=attributes,
        resource={"service.name": "tfy-llm-gateway"},
    )
    return replace(span, **overrides)  # type: ignore[arg-type]


def build_trace(seq: int = 0, **overrides: object) -> list[Span]:
    """Root, model and HTTP span of one request; overrides go to all three."""
    return [build_span(seq, role, **overrides) for role in (Role.ROOT, Role.MODEL, Role.HTTP)]


def build_target(name: str = "openai", **overrides: object) -> Target:
    target = Target(
        name=name,
        model=f"{name}-main/gpt-4o-mini",
        provider=name,
        may_reach=(name,),
        api=Api.CHAT,
        stream=True,
        weight=1,
        max_tokens=20,
        headers={},
        body={"temperature": 0},
    )
    return replace(target, **overrides)  # type: ignore[arg-type]


def build_scenario(**overrides: object) -> Scenario:
    scenario = Scenario(
        name="smoke",
        description="",
        driver=Driver.STREAM,
        seed=1,
        arrivals=ArrivalKind.POISSON,
        targets=(build_target(), build_target("anthropic")),
        phases=(Phase("warm-up", 5.0, 1.0, judged=False), Phase("steady", 30.0, 1.0, judged=True)),
        prompts=(Prompt((Message("user", "hello"),)),),
        limits=Limits(10, 5.0, 20.0, 20.0, 60.0),
        metadata={"suite": "smoke"},
        settle=Settle(60.0, 30.0, 2.0),
        policy=Policy(OnInconclusive.FAIL),
    )
    return replace(scenario, **overrides)  # type: ignore[arg-type]


def build_manifest(**overrides: object) -> Manifest:
    manifest = Manifest(
        run_id=RUN,
        created_ns=EPOCH_NS,
        scenario=build_scenario(),
        versions={"tfy-last9": "0.1.0"},
        digests={},
        gateway_url="http://127.0.0.1:1",
        sandbox=True,
        client_only=False,
        faults=(),
        expected_workers=1,
    )
    return replace(manifest, **overrides)  # type: ignore[arg-type]


def swarm_json(rows: int, **overrides: object) -> dict[str, object]:
    return {
        "workers": [{"worker": 0, "epoch_ns": EPOCH_NS, "rows": rows, "drained": True}],
        "expected_workers": 1,
        "offered": rows,
        "start_ns": EPOCH_NS,
        "ended": "schedule",
        "stopped_targets": [],
        "problems": [],
    } | overrides


def write_work(
    folder: RunFolder,
    rows: list[dict[str, object]],
    swarm: dict[str, object] | None = None,
    tail: str = "",
) -> None:
    """Write what the load process leaves behind: nulls omitted, `tail` after the last line."""
    lines = [
        json.dumps({name: value for name, value in row.items() if value is not None})
        for row in rows
    ]
    text = "".join(line + "\n" for line in lines) + tail
    (folder.work_path / "rows-0.ndjson").write_text(text)
    report = swarm_json(len(rows)) if swarm is None else swarm
    (folder.work_path / "swarm.json").write_text(json.dumps(report))


def new_folder(parent: Path, manifest: Manifest | None = None) -> RunFolder:
    return RunFolder.create(parent, manifest or build_manifest(), parent, ())


def sealed_folder(
    parent: Path, rows: list[dict[str, object]], scenario: Scenario | None = None
) -> RunFolder:
    folder = new_folder(parent, build_manifest(scenario=scenario or build_scenario()))
    write_work(folder, rows)
    seal(folder)
    return folder


WHOLE_RUN = Window(EPOCH_NS - 3600 * S, EPOCH_NS + 36_000 * S)


def build_page(spans: list[Span], asked_s: float = 50.0, **overrides: object) -> Page:
    """A look at everything, `asked_s` seconds after schedule zero."""
    page = Page(WHOLE_RUN, EPOCH_NS + round(asked_s * S), False, spans, ())
    return replace(page, **overrides)  # type: ignore[arg-type]


def build_record(**overrides: object) -> EvidenceRecord:
    record = EvidenceRecord(
        strategy="rows",
        window=WHOLE_RUN,
        region="r",
        organisation="o",
        cluster=None,
        link_base=None,
        queries=1,
        rows_fetched=1,
        bytes_fetched=1,
        truncated=(),
        late_after_s=30.0,
        deadline_s=60.0,
        settled=True,
    )
    return replace(record, **overrides)  # type: ignore[arg-type]


def collect(folder: RunFolder, *pages: Page) -> None:
    with EvidenceStore(folder, (Role.ROOT, Role.MODEL)) as store:
        for page in pages:
            store.add(page)
        store.save()


def reduced(
    parent: Path,
    rows: list[dict[str, object]],
    spans: list[Span],
    *objectives: Objective,
    scenario: Scenario | None = None,
) -> Reduction:
    """Seal rows, save spans seen in one look, and open the reduction."""
    folder = sealed_folder(parent, rows, scenario)
    collect(folder, build_page(spans))
    return Reduction(folder, objectives)


def conditions(**fields: str | tuple[str, ...]) -> tuple[Condition, ...]:
    return tuple(
        Condition(name.replace("__", "."), (values,) if isinstance(values, str) else values)
        for name, values in fields.items()
    )


@dataclass(frozen=True)
class Ask:
    """Builds objectives; `book` and `span` say where events come from."""

    name: str = "objective"
    group_by: tuple[str, ...] = ()
    target: float = 0.5
    where: tuple[Condition, ...] = field(default=())
    book: Book = Book.LEDGER
    span: Role | None = None

    def _objective(self, indicator: Threshold | Ratio | Completeness) -> Objective:
        return Objective(
            self.name,
            self.name,
            "svc",
            indicator,
            self.target,
            self.group_by,
            True,
            0.95,
            "a.yaml",
            1,
        )

    def _population(self) -> Population:
        return Population(self.book, self.span, self.where)

    def threshold(self, name: str, limit: float, op: Operator = Operator.LTE) -> Objective:
        return self._objective(Threshold(self._population(), name, op, limit))

    def ratio(self, **bad: str | tuple[str, ...]) -> Objective:
        return self._objective(Ratio(self._population(), conditions(**bad)))

    def complete(self, *require: Role) -> Objective:
        return self._objective(Completeness(require or (Role.ROOT, Role.MODEL), self.where))


def spans_ask(**overrides: object) -> Ask:
    return replace(Ask(book=Book.LAST9, span=Role.MODEL), **overrides)  # type: ignore[arg-type]

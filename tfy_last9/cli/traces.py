"""`traces`: ledger rows with their span trees, from the run folder alone."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches

from tfy_last9.adapters.runfolder.drill import Question, drill, values_of
from tfy_last9.adapters.runfolder.folder import RunFolder
from tfy_last9.cli.console import Console
from tfy_last9.cli.judging import linker
from tfy_last9.errors import ConfigurationError
from tfy_last9.model.fields import LEDGER_LABELS, SPAN_LABELS
from tfy_last9.model.objective import Condition
from tfy_last9.model.verdict import Exemplar
from tfy_last9.reports import trace_tree

MOST_VALUES = 12


@dataclass(frozen=True, slots=True)
class TracesRequest:
    """The command line of `traces`."""

    where: tuple[str, ...]
    slowest: int | None
    failed: bool
    missing: bool
    trace_id: str | None
    limit: int


def show_traces(folder: RunFolder, request: TracesRequest, console: Console) -> None:
    """Print the requests that were asked for."""
    question = Question(
        where=tuple(_condition(text) for text in request.where),
        slowest=request.slowest,
        failed=request.failed,
        missing=request.missing,
        trace_id=request.trace_id,
        limit=request.slowest or request.limit,
    )
    shown = drill(folder, question)
    link = linker(folder)
    for one in shown:
        console.result(trace_tree.render(one.row, one.spans, one.note))
        trace_id = one.spans[0].trace_id if one.spans else None
        page = link(Exemplar(None, trace_id, None, "")) if trace_id else ""
        if page.startswith("https://"):
            console.result(f"  {page}\n")
    if not shown:
        console.result("no request of this run matches" + _doubt(folder, question))


def _doubt(folder: RunFolder, question: Question) -> str:
    """Name the label or value that was probably meant: any may be named, so a slip is no error."""
    known = LEDGER_LABELS | SPAN_LABELS
    for condition in question.where:
        if condition.field not in known and (near := get_close_matches(condition.field, known, 1)):
            return f" (did you mean {near[0]!r} by {condition.field!r}?)"
        found = values_of(folder, condition.field)
        for value in condition.values:
            if value in found or not found:
                continue
            if near := get_close_matches(value, found, 1):
                return f" (did you mean {condition.field}={near[0]}?)"
            shown = ", ".join(found[:MOST_VALUES])
            return f" ({condition.field} is one of {shown})"
    return ""


def _condition(text: str) -> Condition:
    field, separator, value = text.partition("=")
    if not separator or not field or not value:
        raise ConfigurationError(
            f"--where {text!r}: expected LABEL=VALUE, for example provider=openai",
            hint="several values of one label: --where provider=openai,gemini",
        )
    return Condition(field, tuple(value.split(",")))

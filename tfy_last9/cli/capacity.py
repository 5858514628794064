"""`gate --find-capacity`: one gate per rate, each with a run folder, until the highest good rate is known."""

from __future__ import annotations

import math
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import orjson

from tfy_last9.adapters.files.scenario import load_scenario
from tfy_last9.adapters.opening import new_run_id
from tfy_last9.adapters.runfolder.folder import RunFolder
from tfy_last9.cli.console import Console
from tfy_last9.cli.gate import run_gate
from tfy_last9.cli.gate_request import GateRequest
from tfy_last9.cli.refusing import check_out
from tfy_last9.errors import BrokenRun, ConfigurationError, ExitCode, Undecidable
from tfy_last9.judge import capacity
from tfy_last9.judge.capacity import Capacity, Outcome, Step
from tfy_last9.model.scenario import Scenario
from tfy_last9.reports import verdict_json

REPORT = "capacity.json"
SCHEMA = 1
MOST = 32.0
"""Greatest rate tried, as a multiple of the first, unless `--max-rate` says otherwise."""
MOST_USERS = 100_000
WORDS = {
    Outcome.MET: "meets every objective",
    Outcome.BROKE: "breaks",
    Outcome.UNDECIDED: "undecided",
    Outcome.GENERATOR: "the generator is saturated, not the gateway",
    Outcome.USERS: "all users were waiting",
    Outcome.UNSOUND: "says nothing",
}


@dataclass(slots=True)
class StepConsole(Console):
    """Shows how a step goes and what went wrong, and keeps its report to the run folder."""

    def say(self, line: str) -> None:
        """Say nothing: a dozen gates in full would bury the answer."""

    def result(self, text: str) -> None:
        """Print nothing: the reports are in the step's folder."""


def find_capacity(
    request: GateRequest,
    console: Console,
    *,
    allow_spend: bool,
    most_per_s: float | None,
) -> int:
    """Search, write `capacity.json`, say the answer; return 0, or the exit code of why there is none."""
    scenario = load_scenario(request.scenario)
    first = _first_rate(scenario, request, allow_spend=allow_spend)
    most = most_per_s or MOST * first
    place = request.out / f"{new_run_id(scenario, time.time_ns())}-capacity"
    check_out(place)
    judged_s = sum(phase.duration_s for phase in scenario.phases if phase.judged)
    lasts_s = scenario.duration_s - judged_s + (request.duration_s or judged_s)
    console.say(
        f"capacity: {scenario.name} from {first:g}/s, at most {most:g}/s; up to {capacity.MOST_STEPS} steps,"
        f" each a gate that sends for {lasts_s:g} s"
    )
    steps: list[Step] = []
    while (rate := capacity.next_rate(steps, first, most)) is not None:
        try:
            step = _step(request, scenario, place, rate, first, console)
        except Undecidable:
            if not steps:  # it says how much longer a step has to last
                raise
            break
        except KeyboardInterrupt:
            console.say(f"interrupted; the steps that were finished are in {place}")
            return ExitCode.INTERRUPTED
        steps.append(step)
        console.say(f"  {rate:g}/s: {WORDS[step.outcome]}" + _detail(step))
        _write(place, scenario, steps)
    found = capacity.answer(steps)
    text = orjson.dumps(_document(scenario, steps), option=orjson.OPT_INDENT_2).decode()
    console.result(text if request.as_json else _text(scenario, found, steps))
    console.say(f"steps, each a run folder: {place}")
    return _exit_code(found, steps)


def _first_rate(scenario: Scenario, request: GateRequest, *, allow_spend: bool) -> float:
    if not request.sandbox and not allow_spend:
        raise ConfigurationError(
            "--find-capacity sends ever more requests to a gateway that may charge for them",
            hint="rehearse with --sandbox, or say --allow-spend, with --max-rate as the brake",
        )
    if scenario.is_shaped or scenario.is_closed:
        raise ConfigurationError(
            f"--find-capacity needs constant or poisson arrivals, not {scenario.arrivals}",
            hint="each step keeps one rate; change `arrivals:` in the scenario",
        )
    if request.run_id is not None or request.retry_of is not None or request.baseline is not None:
        raise ConfigurationError(
            "--run-id, --retry-of and --baseline are about one run, --find-capacity makes many",
            hint="leave them out; compare a step afterwards with `tfy-last9 compare`",
        )
    judged = [phase.rate_per_s for phase in scenario.phases if phase.judged]
    return request.rate_per_s or max(judged)


def _step(
    request: GateRequest,
    scenario: Scenario,
    place: Path,
    rate: float,
    first: float,
    console: Console,
) -> Step:
    """Run one gate. Raises `Undecidable` when nothing can be decided at so low a rate."""
    users = min(MOST_USERS, math.ceil(scenario.limits.users * max(1.0, rate / first)))
    run_id = f"{place.name}-{rate:g}".replace(".", "p").replace("+", "")
    step = replace(
        request, rate_per_s=rate, users=users, out=place, run_id=run_id, as_json=False, github=None
    )
    code = run_gate(step, StepConsole(quiet=console.quiet))
    if code == ExitCode.INTERRUPTED:
        raise KeyboardInterrupt
    folder = RunFolder(place / run_id)
    if not folder.verdict_path.is_file():
        raise BrokenRun(f"the step at {rate:g}/s left no verdict in {folder.path}")
    verdict = verdict_json.parse(folder.verdict_path.read_text("utf-8"))
    outcome = capacity.classify(verdict)
    return Step(rate, run_id, outcome, capacity.reason_of(verdict))


def _detail(step: Step) -> str:
    return "" if step.outcome is Outcome.MET else f" ({step.reason})"


def _document(scenario: Scenario, steps: list[Step]) -> dict[str, object]:
    return {
        "schema": SCHEMA,
        "scenario": scenario.name,
        "capacity": asdict(capacity.answer(steps)),
        "steps": [asdict(step) for step in steps],
    }


def _write(place: Path, scenario: Scenario, steps: list[Step]) -> None:
    """Write what is known so far: an interrupted search keeps its answer."""
    text = orjson.dumps(_document(scenario, steps), option=orjson.OPT_INDENT_2)
    RunFolder(place).write(place / REPORT, text + b"\n")


def _text(scenario: Scenario, found: Capacity, steps: list[Step]) -> str:
    lines = [
        f"{step.rate_per_s:>8g}/s  {WORDS[step.outcome]}{_detail(step)}"
        for step in sorted(steps, key=lambda one: one.rate_per_s)
    ]
    return "\n".join([_sentence(scenario, found), "", f"{'rate':>10}  outcome", *lines])


def _sentence(scenario: Scenario, found: Capacity) -> str:
    if found.met_per_s is None:
        return f"{scenario.name}: no rate that was tried meets every objective; lowest {found.unmet_per_s:g}/s: {found.reason}"
    met = f"{scenario.name}: {found.met_per_s:g}/s meets every objective"
    if found.unmet_per_s is None:
        return f"{met}, and nothing higher was allowed (--max-rate)"
    between = f"the capacity lies in [{found.met_per_s:g}, {found.unmet_per_s:g}) per second"
    match Outcome(found.limited_by):
        case Outcome.GENERATOR:
            return f"{met}; at {found.unmet_per_s:g}/s the generator gave out, so this is a lower bound: use more processes or workers"
        case Outcome.USERS:
            return f"{met}; at {found.unmet_per_s:g}/s all users were waiting: raise limits.users to see whether more is possible"
        case Outcome.UNDECIDED:
            return f"{met}; {between}, its upper end undecided: {found.reason}"
        case _:
            return f"{met}; {between}: {found.reason}"


def _exit_code(found: Capacity, steps: list[Step]) -> int:
    if steps[-1].outcome is Outcome.UNSOUND:
        return ExitCode.ERROR
    if found.met_per_s is not None:
        return ExitCode.PASS
    codes = {Outcome.BROKE: ExitCode.FAIL, Outcome.UNDECIDED: ExitCode.INCONCLUSIVE}
    return codes.get(Outcome(found.limited_by), ExitCode.ERROR)

"""`doctor`: the set-up checks, executed one after the other, and what the real Last9 does where docs are silent."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import orjson

from tfy_last9.adapters.clock import SystemClock
from tfy_last9.adapters.environment import gateway_settings
from tfy_last9.adapters.files.scenario import load_scenario
from tfy_last9.adapters.last9.catalogue import Catalogue
from tfy_last9.adapters.last9.client import Last9Client
from tfy_last9.adapters.last9.experiments import Experiments
from tfy_last9.adapters.last9.observation import Observation
from tfy_last9.adapters.last9.settings import Last9Settings, from_environment
from tfy_last9.adapters.truefoundry.control_plane import ControlPlaneSettings
from tfy_last9.cli.console import Console
from tfy_last9.cli.preflight import check_last9
from tfy_last9.cli.probing import await_trace, send_probe
from tfy_last9.errors import ConfigurationError, ExitCode, MissingSettings, TfyError
from tfy_last9.judge.diagnosis import Light, Line, answer_lines, trace_lines
from tfy_last9.model.run import Window
from tfy_last9.wire.last9_queries import spans_of_service

LOOK_BACK_S = 900
"""Of experiments and catalogue: long enough to hold the probe, short enough to stay cheap."""
OTLP_PATH = "/v1/traces"
_SWITCHES = "switches.json"
_ACCESS = "Last9 token and region"
_REMEDY = "set it to a refresh token with read scope (environment or .env)"
_REMEDIES = f"{_REMEDY}; or try it without any account: tfy-last9 sandbox --env-file .env"
_NS_PER_S = 10**9
_ANSWERED = range(200, 300)


@dataclass(frozen=True, slots=True)
class DoctorRequest:
    """The command line of `doctor`."""

    scenario: Path
    record: Path | None
    last9_only: bool


def examine(request: DoctorRequest, environment: Mapping[str, str], console: Console) -> ExitCode:
    """Run every check that can be run; return the code of the first that failed."""
    doctor = _Doctor(console)
    may_do_without = bool(environment.get("TFY_GATEWAY_URL")) and not request.last9_only
    settings = _access(environment, doctor, may_do_without=may_do_without)
    doctor.check("OTLP endpoint and header", lambda: check_otlp(environment, console))
    if not request.last9_only:
        doctor.check("probe", lambda: _follow_probe(request, environment, settings, doctor))
    if settings is None:
        said = "not looked for, since Last9 cannot be read"
        doctor.tell(Line(Light.YELLOW, "traces", said, "mend the first line, then try again"))
        return doctor.code
    doctor.check("attributes of the gateway's spans", lambda: _attributes(settings, console))
    if request.record is not None:
        folder = request.record
        doctor.check("open questions about Last9", lambda: record(folder, settings, console))
    return doctor.code


def _access(
    environment: Mapping[str, str], doctor: _Doctor, *, may_do_without: bool
) -> Last9Settings | None:
    """Return the settings of a Last9 that can be read; None where there is still a gateway to check."""
    settings = from_environment(environment)
    if settings is not None:
        can_be_read = doctor.check(_ACCESS, lambda: check_last9(settings, doctor.console))
        return settings if can_be_read else None
    unset = "LAST9_REFRESH_TOKEN is not set"
    if not may_do_without:
        raise MissingSettings(f"{unset}, so that nothing can be checked", hint=_REMEDIES)
    doctor.tell(Line(Light.RED, _ACCESS, unset, _REMEDY))
    return None


class _Doctor:
    """Goes on after a failed check: the next one may show why."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.code = ExitCode.PASS

    def check(self, name: str, run: Callable[[], object]) -> bool:
        """Run one check, print how it went, and tell whether it could be run to its end.

        One that prints its own lines returns True.
        """
        try:
            told = run()
        except TfyError as error:
            self.tell(Line(Light.RED, name, error.message, error.hint, error.exit_code))
            return False
        if told is not True:
            self.console.result(f"{Light.GREEN:<5} {name}")
        return True

    def tell(self, line: Line) -> None:
        """Print one line, with what to do."""
        self.console.result(f"{line.light:<5} {line.name}: {line.said}")
        if line.fix and line.light is not Light.GREEN:
            self.console.result(f"      fix: {line.fix}")
        if line.light is Light.RED and self.code is ExitCode.PASS:
            self.code = line.code


def check_otlp(environment: Mapping[str, str], console: Console) -> None:
    """Check the form of the OTLP settings: the mistakes that lose every trace without an error."""
    endpoint = environment.get("LAST9_OTLP_ENDPOINT", "")
    header = environment.get("LAST9_OTLP_AUTH", "")
    if not endpoint and not header:
        console.say("doctor: LAST9_OTLP_ENDPOINT is not set, so its form is not checked")
        return
    if endpoint and not endpoint.endswith(OTLP_PATH):
        raise ConfigurationError(
            f"LAST9_OTLP_ENDPOINT does not end in {OTLP_PATH}",
            hint=f"append {OTLP_PATH}, at TrueFoundry too: it sends to exactly what is entered",
        )
    if header and not header.startswith("Basic "):
        raise ConfigurationError(
            "LAST9_OTLP_AUTH does not begin with `Basic `",
            hint="copy the whole value from Last9, Integrations > OpenTelemetry, the word included; at"
            " TrueFoundry the same mistake loses every trace without an error",
        )


def _follow_probe(
    request: DoctorRequest,
    environment: Mapping[str, str],
    settings: Last9Settings | None,
    doctor: _Doctor,
) -> bool:
    """Send one request to the first target of the scenario and follow its trace; prints its own lines.

    Without settings of Last9 only the answer is looked at.
    """
    control_plane = ControlPlaneSettings.of(environment)
    probe = send_probe(load_scenario(request.scenario), gateway_settings(environment))
    for line in answer_lines(probe):
        doctor.tell(line)
    if settings is None or probe.status is None or probe.status not in _ANSWERED:
        return True
    arrival = await_trace(probe, settings, control_plane, doctor.console)
    for line in trace_lines(probe, arrival):
        doctor.tell(line)
    return True


def _attributes(settings: Last9Settings, console: Console) -> None:
    with Last9Client(settings, SystemClock()) as client:
        names = Catalogue(client).attributes(spans_of_service(settings.service), _recent())
    gateway = sum(name.startswith(("tfy.", "gen_ai.")) for name in names)
    console.say(
        f"doctor: spans of {settings.service} carry {len(names)} attributes, {gateway} of them"
        " tfy.* or gen_ai.*"
    )
    if not gateway:
        raise ConfigurationError(
            f"no span of {settings.service!r} with tfy.* or gen_ai.* attributes in the last"
            f" {LOOK_BACK_S // 60} minutes",
            hint="set LAST9_SERVICE to the gateway's service name as Last9 shows it",
        )


def record(folder: Path, settings: Last9Settings, console: Console) -> None:
    """Run the experiments; write each sample, without texts, and the switches that match."""
    with Last9Client(settings, SystemClock()) as client:
        observations = Experiments(client, settings.service, _recent()).run()
    folder.mkdir(parents=True, exist_ok=True)
    for one in observations:
        sample = {"switch": one.switch, "value": one.value, "said": one.said, "answer": one.sample}
        (folder / f"{one.switch}.json").write_bytes(_json(sample))
        console.result(f"      {one.switch:<20} {one.value or 'not shown':<12} {one.said}")
    known = {one.switch: one.value for one in observations if one.value is not None}
    (folder / _SWITCHES).write_bytes(_json(known))
    console.result(f"      samples without texts are in {folder}; the sandbox that behaves alike:")
    console.result(f"      {switches(observations)}")


def switches(observations: tuple[Observation, ...]) -> str:
    """Return the command that starts a sandbox whose Last9 behaves as the one that was seen."""
    known = [f"{one.switch}={one.value}" for one in observations if one.value is not None]
    return " ".join(["tfy-last9 sandbox", *(f"--last9-switch {switch}" for switch in known)])


def _recent() -> Window:
    now_ns = time.time_ns()
    return Window(now_ns - LOOK_BACK_S * _NS_PER_S, now_ns + _NS_PER_S)


def _json(value: object) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS) + b"\n"

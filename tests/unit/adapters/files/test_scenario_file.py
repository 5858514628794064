import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from tfy_last9.adapters.files.scenario import (
    load_scenario,
    scenario_from_json,
    scenario_schema,
    scenario_to_json,
    write_scenario_schema,
)
from tfy_last9.errors import BrokenRun, FileProblems
from tfy_last9.model.scenario import Message

ROOT = Path(__file__).parents[4]
SMOKE = ROOT / "scenarios/smoke.yaml"
SCHEMA = ROOT / "tfy_last9/schemas/scenario.schema.json"

SMALL = """\
name: small
targets:
  - {name: a, model: acc/m, provider: claude}
arrivals: {kind: constant, rate: 600/min}
phases:
  - {name: p, duration: 2m}
prompts: [hello]
"""


def write(tmp_path, text):
    path = tmp_path / "scenario.yaml"
    path.write_text(text)
    return path


def faults(tmp_path, text):
    with pytest.raises(FileProblems) as caught:
        load_scenario(write(tmp_path, text))
    return caught.value.problems


def test_the_smoke_scenario_is_read_as_written():
    scenario = load_scenario(SMOKE)
    assert [target.provider for target in scenario.targets] == ["openai", "anthropic", "gemini"]
    assert scenario.judged_phases == ("steady",)
    assert scenario.duration_s == 35.0
    assert {phase.rate_per_s for phase in scenario.phases} == {80.0}
    assert scenario.prompts[1].messages[0] == Message("system", "You are a terse assistant.")
    assert (scenario.limits.users, scenario.limits.total_s) == (300, 60.0)


def test_what_is_not_written_has_the_documented_default(tmp_path):
    scenario = load_scenario(write(tmp_path, SMALL))
    limits, settle, target = scenario.limits, scenario.settle, scenario.targets[0]
    assert (limits.users, limits.connect_s, limits.first_token_s) == (100, 5.0, 30.0)
    assert (limits.idle_s, limits.total_s) == (30.0, 120.0)
    assert (settle.deadline_s, settle.late_after_s, settle.poll_s) == (120.0, 30.0, 2.0)
    assert (target.stream, target.weight, target.max_tokens) == (True, 1, None)
    assert scenario.policy.on_inconclusive == "fail"


def test_providers_are_named_canonically(tmp_path):
    assert load_scenario(write(tmp_path, SMALL)).targets[0].provider == "anthropic"


def test_a_virtual_target_has_no_provider_but_says_which_it_may_reach(tmp_path):
    text = SMALL.replace("provider: claude", "may_reach: [azure_openai, google, gemini]")
    target = load_scenario(write(tmp_path, text)).targets[0]
    assert (target.provider, target.may_reach) == (None, ("azure-openai", "gemini"))


def test_a_standby_is_a_provider_that_may_stay_silent(tmp_path):
    text = SMALL.replace("provider: claude", "may_reach: [openai], standby: [google, claude]")
    target = load_scenario(write(tmp_path, text)).targets[0]
    assert (target.may_reach, target.standby) == (("openai",), ("gemini", "anthropic"))


@pytest.mark.parametrize(
    ("written", "per_second"), [("80/s", 80.0), ("600/min", 10.0), ("2.5", 2.5), ("36/h", 0.01)]
)
def test_rates_are_per_second(tmp_path, written, per_second):
    scenario = load_scenario(write(tmp_path, SMALL.replace("600/min", written)))
    assert scenario.phases[0].rate_per_s == pytest.approx(per_second)


@pytest.mark.parametrize(
    ("written", "seconds"), [("500ms", 0.5), ("5s", 5.0), ("2m", 120.0), ("1.5h", 5400.0)]
)
def test_durations_are_seconds(tmp_path, written, seconds):
    scenario = load_scenario(write(tmp_path, SMALL.replace("duration: 2m", f"duration: {written}")))
    assert scenario.phases[0].duration_s == seconds


def test_a_conversation_may_be_spelled_out(tmp_path):
    text = SMALL.replace("[hello]", "[{messages: [{role: assistant, content: a}]}]")
    assert load_scenario(write(tmp_path, text)).prompts[0].messages == (Message("assistant", "a"),)


def test_headers_and_body_are_passed_on_as_written(tmp_path):
    text = SMALL.replace("claude}", "claude, headers: {X-Team: a}, body: {top_p: 0.5, stop: [x]}}")
    target = load_scenario(write(tmp_path, text)).targets[0]
    assert target.headers == {"X-Team": "a"}
    assert target.body == {"top_p": 0.5, "stop": ["x"]}


def test_a_phase_may_have_its_own_rate(tmp_path):
    text = SMALL.replace("duration: 2m", "duration: 2m, rate: 3")
    assert load_scenario(write(tmp_path, text)).phases[0].rate_per_s == 3.0


@pytest.mark.parametrize("path", [SMOKE, None])
def test_a_scenario_survives_json_exactly(tmp_path, path):
    scenario = load_scenario(path or write(tmp_path, SMALL))
    assert scenario_from_json(json.loads(json.dumps(scenario_to_json(scenario)))) == scenario


def test_a_stored_scenario_that_lacks_a_part_is_a_broken_run():
    with pytest.raises(BrokenRun, match="cannot be read"):
        scenario_from_json({"name": "x"})


def test_the_published_schema_is_the_one_the_loader_uses(tmp_path):
    """`write_scenario_schema` writes the file anew after a change of the models."""
    write_scenario_schema(tmp_path / "schema.json")
    assert SCHEMA.read_text() == (tmp_path / "schema.json").read_text()


def test_the_schema_accepts_the_smoke_scenario_and_refuses_a_slip():
    data = yaml.safe_load(SMOKE.read_text())
    jsonschema.validate(data, scenario_schema())
    data["targets"][0]["weigth"] = 1
    with pytest.raises(jsonschema.ValidationError, match="weigth"):
        jsonschema.validate(data, scenario_schema())


REFUSED = {
    "an unknown key": ("name: small", "name: small\nnmae: x", 'unknown key "nmae"'),
    "a missing key": ("prompts: [hello]", "", 'key "prompts" is missing'),
    "a model without account": ("acc/m", "m", "expected account/model"),
    "no provider": (", provider: claude", "", "needs provider, or may_reach"),
    "a standby of no virtual model": ("claude}", "claude, standby: [b]}", "only a virtual model"),
    "a provider both owed and standby": (
        "provider: claude",
        "may_reach: [google], standby: [gemini]",
        "leave it in one",
    ),
    "more retries than anyone waits for": (
        "prompts",
        "policy: {retries: 11}\nprompts",
        "less than or equal to 10",
    ),
    "two ways to name providers": ("claude", "claude, may_reach: [a]", "not both"),
    "a duration without unit": ("duration: 2m", "duration: 5", "expected a duration"),
    "a compound duration": ("duration: 2m", "duration: 1m30s", "expected a duration"),
    "an empty duration": ("duration: 2m", "duration: 0s", "longer than zero"),
    "a rate per day": ("600/min", "600/day", "expected a rate"),
    "a rate of zero": ("600/min", "0/s", "above 0"),
    "a rate that is not a number": ("600/min", ".nan", "above 0"),
    "an unknown arrival kind": ("constant", "constnat", "expected 'constant', 'poisson', 'ramp'"),
    "text for a flag": ("2m}", '2m, judged: "no"}', "expected true or false"),
    "a fraction for a count": ("claude}", "claude, weight: 1.5}", "expected a whole number"),
    "a repeated key": ("name: small", "name: small\nname: other", 'key "name" is repeated'),
    "credentials": ("claude}", "claude, headers: {authorization: x}}", "written by the client"),
    "our own metadata header": (
        "claude}",
        "claude, headers: {X-TFY-Metadata: x}}",
        "by the client",
    ),
    "a header name with a space": ("claude}", "claude, headers: {X A: x}}", "valid header name"),
    "a name that is no text": ("name: a,", "name: 5,", "expected text"),
    "a header with a line break": (
        "claude}",
        'claude, headers: {X-A: "a\\nb"}}',
        "printable ASCII",
    ),
    "a body that names the model": (
        "claude}",
        "claude, body: {model: x}}",
        "comes from the target",
    ),
    "reserved metadata": ("name: small", "name: small\nmetadata: {run_id: x}", "by the client"),
    "long metadata": ("name: small", f"name: small\nmetadata: {{a: {'x' * 129}}}", "at most 128"),
    "unquoted metadata": (
        "name: small",
        "name: small\nmetadata: {a: yes}",
        "expected text, got true",
    ),
    "only warm-up": ("duration: 2m", "duration: 2m, judged: false", "no phase is judged"),
    "an empty prompt": ("[hello]", "['']", "at least 1 character"),
    "a prompt without user": ("[hello]", "[{system: x}]", 'key "user" is missing'),
    "an unknown role": ("[hello]", "[{messages: [{role: usr, content: x}]}]", 'got "usr"'),
    "lateness after the deadline": (
        "name: small",
        "name: small\nsettle: {deadline: 10s, late_after: 20s}",
        "beyond the deadline",
    ),
    "an underscore in the policy": (
        "name: small",
        "name: small\npolicy: {on_inconclusive: warn}",
        'unknown key "on_inconclusive"',
    ),
    "two targets of one name": (
        "arrivals:",
        "  - {name: a, model: acc/n, provider: openai}\narrivals:",
        'target "a" is defined twice; first on line 3',
    ),
    "a list for the whole": (SMALL, "[1, 2]", "expected a mapping"),
    "two documents": ("prompts: [hello]", "prompts: [hello]\n---\nname: two", "holds one document"),
    "a merge key": ("name: small", "<<: {name: small}", "merge keys"),
    "broken YAML": ("prompts: [hello]", "prompts: [hello", "not valid YAML"),
    "a key that is not text": ("name: small", "name: small\n1: x", "a key must be text"),
    "nothing": (SMALL, "# only a comment\n", "the file is empty"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_faulty_scenario_is_refused(tmp_path, case):
    old, new, message = REFUSED[case]
    assert old in SMALL
    assert message in str(faults(tmp_path, SMALL.replace(old, new))[0])


def test_a_slip_of_the_pen_is_reported_where_it_stands_with_a_suggestion(tmp_path):
    (fault,) = faults(tmp_path, SMALL.replace("claude", "claude, weigth: 2"))
    assert (fault.line, fault.column) == (3, 47)
    assert fault.suggestion == 'did you mean "weight"?'
    assert str(fault).startswith(f"{tmp_path}/scenario.yaml:3:47: unknown key")


def test_all_faults_of_a_file_are_reported_at_once_in_reading_order(tmp_path):
    text = SMALL.replace("small", "a b").replace("acc/m", "m").replace("2m", "2 m")
    found = faults(tmp_path, text)
    assert [fault.line for fault in found] == [1, 3, 6]


def test_a_missing_file_is_a_problem_of_the_whole_file(tmp_path):
    with pytest.raises(FileProblems, match="no such file"):
        load_scenario(tmp_path / "none.yaml")


def test_bytes_that_are_not_text_are_refused(tmp_path):
    path = tmp_path / "scenario.yaml"
    path.write_bytes(b"name: \xff\xfe")
    with pytest.raises(FileProblems, match="UTF-8"):
        load_scenario(path)


def test_a_recursive_anchor_is_refused(tmp_path):
    found = faults(tmp_path, SMALL.replace("name: small", "name: small\nmetadata: &m {a: *m}"))
    assert "contain themselves" in found[0].message

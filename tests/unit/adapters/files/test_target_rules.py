"""What targets of each protocol may say, and how a fault is told."""

from pathlib import Path

import pytest

from tfy_last9.adapters.files.scenario import load_scenario, scenario_from_json, scenario_to_json
from tfy_last9.arrivals.quota import quota_warnings
from tfy_last9.arrivals.schedule import dealt, planned, schedule, share
from tfy_last9.errors import FileProblems
from tfy_last9.model.check import CheckKind
from tfy_last9.model.scenario import Api
from tfy_last9.model.turns import longest_session_s

ROOT = Path(__file__).parents[4]
HEAD = """\
name: small
arrivals: {kind: constant, rate: 10/s}
phases: [{name: p, duration: 2s}]
"""
MCP = "{name: t, api: mcp, server: srv, mcp: {calls: [{tool: w, times: 2}]}}"
TALK = "{name: t, model: a/m, provider: x, body: {tools: [{}]}}"


def load(tmp_path, target, rest="prompts: [hi]\n"):
    path = tmp_path / "scenario.yaml"
    path.write_text(f"{HEAD}targets:\n  - {target}\n{rest}")
    return load_scenario(path)


@pytest.mark.parametrize("name", ["apis", "conversations"])
def test_the_samples_are_read_and_stored_and_read_again(name):
    scenario = load_scenario(ROOT / "scenarios" / f"{name}.yaml")
    assert scenario_from_json(scenario_to_json(scenario)) == scenario


def test_only_text_is_streamed_unless_the_file_says_otherwise():
    scenario = load_scenario(ROOT / "scenarios/apis.yaml")
    assert {target.name for target in scenario.targets if target.stream} == {
        *("chat", "responses", "messages", "gemini"),
    }
    assert {target.api for target in scenario.targets} == set(Api)


def test_an_mcp_server_is_its_own_provider_and_needs_no_prompts(tmp_path):
    scenario = load(tmp_path, MCP, rest="")
    (target,) = scenario.targets
    assert (target.provider, target.model, target.may_reach) == ("srv", "srv", ("srv",))


def test_checks_keep_their_order(tmp_path):
    checks = 'checks: {regex: "a+", non_empty: true, json_schema: {type: object}}'
    (target,) = load(tmp_path, f"{{name: t, model: a/m, provider: x, {checks}}}").targets
    kinds = [check.kind for check in target.checks]
    assert kinds == [CheckKind.NON_EMPTY, CheckKind.REGEX, CheckKind.JSON_SCHEMA]


@pytest.mark.parametrize(
    ("target", "rest", "words"),
    [
        ("{name: t, provider: x}", "", 'key "model" is missing'),
        ("{name: t, api: mpc, model: a/m, provider: x}", "", "did you mean"),
        ("{name: t, api: mcp, server: s}", "", "needs `mcp`"),
        (MCP.replace("server: srv,", ""), "", "needs `server`"),
        ("{name: t, api: http, model: a/m, provider: x}", "", "needs `path`"),
        ("{name: t, model: a/m, provider: x, server: s}", "", "is for api: mcp"),
        ("{name: t, model: a/m, provider: x, prompt_key: q}", "", "is for api: http"),
        (
            *("{name: t, api: embeddings, model: a/m, provider: x, stream: true}", ""),
            "api: embeddings is not streamed",
        ),
        (
            *("{name: t, api: embeddings, model: a/m, provider: x, max_tokens: 5}", ""),
            "has no output tokens",
        ),
        (
            *("{name: t, api: responses, model: a/m, provider: x, body: {input: hi}}", ""),
            '"input" comes from the prompts',
        ),
        (
            '{name: t, model: a/m, provider: x, checks: {regex: "("}}',
            "",
            "not a regular expression",
        ),
        (
            *("{name: t, model: a/m, provider: x, checks: {json_schema: {type: objekt}}}", ""),
            "not a JSON Schema",
        ),
        ("{name: t, model: a/m, provider: x, quota: {}}", "", "a quota needs rpm"),
        ("{name: t, model: a/m, provider: x, quota: {rpn: 5}}", "", "did you mean"),
        (
            *("{name: t, api: messages, model: a/m, provider: x}", "driver: openai\n"),
            "driver: openai cannot send api: messages",
        ),
        (
            *("{name: t, model: a/m, provider: x, path: /x}", "driver: openai\n"),
            "driver: openai sends to the paths of the SDK",
        ),
    ],
)
def test_a_target_that_cannot_be_sent_is_refused_with_what_to_do(tmp_path, target, rest, words):
    with pytest.raises(FileProblems) as caught:
        load(tmp_path, target, f"prompts: [hi]\n{rest}")
    assert words in str(caught.value)
    assert caught.value.exit_code == 24


@pytest.mark.parametrize(
    ("target", "prompts", "words"),
    [
        (TALK, "", 'key "prompts" is missing'),
        (MCP, "prompts: [{user: hi, turns: [{user: more}]}]", "can hold a conversation"),
        (
            "{name: t, model: a/m, provider: x}",
            "prompts: [{user: hi, turns: [{tool_results: {w: x}}]}]",
            "no target offers tools",
        ),
        (TALK, "prompts: [{user: hi, turns: [{think: 1s}]}]", "needs user, or tool_results"),
        (TALK, "prompts: [{user: hi, image: {bytes: 10}}]", "has at least"),
    ],
)
def test_a_prompt_that_nobody_can_take_is_refused(tmp_path, target, prompts, words):
    with pytest.raises(FileProblems) as caught:
        load(tmp_path, target, prompts)
    assert words in str(caught.value)


def test_every_turn_is_a_planned_request_and_stays_with_its_worker(tmp_path):
    prompts = "prompts: [{user: hi, turns: [{user: more, think: 3s}]}, hello]"
    scenario = load(tmp_path, TALK, prompts)
    arrivals = list(schedule(scenario))
    assert [arrival.seq for arrival in arrivals] == list(range(30))
    assert planned(scenario).total() == 30
    workers = {}
    for worker, arrival in dealt(scenario, 3):
        workers.setdefault(arrival.number, set()).add(worker)
    assert all(len(found) == 1 for found in workers.values())
    shares = [arrival for worker in range(3) for arrival in share(scenario, worker, 3)]
    assert sorted(shares) == arrivals
    assert longest_session_s(scenario) == scenario.limits.total_s + 3


def test_a_schedule_beyond_the_quota_is_told_before_it_is_sent(tmp_path):
    target = "{name: t, model: a/m, provider: x, max_tokens: 100, quota: {rpm: %s, tpm: %s}}"
    assert quota_warnings(load(tmp_path, target % (20, 1e6))) == ()
    (warning,) = quota_warnings(load(tmp_path, target % (19, 1e6)))
    assert "up to 20 requests a minute" in warning
    (warning,) = quota_warnings(load(tmp_path, target % (20, 1999)))
    assert "tokens a minute" in warning

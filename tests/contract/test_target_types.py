"""Every kind of target, and conversations: the ledger has what the gateway's journal says it served."""

from collections import Counter
from itertools import pairwise

import pytest
from gating import ROOT, SLO, gate

pytestmark = pytest.mark.contract
TYPES = pytest.mark.xdist_group("target_types")
TALKS = pytest.mark.xdist_group("conversations")
"""A gate each, so that they may run side by side."""

KINDS = {
    "chat": "ChatCompletion",
    "whole-chat": "ChatCompletion",
    "responses": "CreateModelResponse",
    "messages": "Messages",
    "gemini": "GenerateContent",
    "embeddings": "Embedding",
    "rerank": "Rerank",
    "tools": "MCPGateway",
}
"""What the gateway calls a request to each target of the scenario."""


@pytest.fixture(scope="module")
def types(tmp_path_factory):
    """The scenario that ships, shorter and denser."""
    return _gate(tmp_path_factory, "apis", ROOT / "slo" / "apis", "80/s")


@pytest.fixture(scope="module")
def talks(tmp_path_factory):
    return _gate(tmp_path_factory, "conversations", SLO, "30/s")


def _gate(tmp_path_factory, name, slo, rate):
    place = tmp_path_factory.mktemp(name)
    scenario = ROOT / "scenarios" / f"{name}.yaml"
    return gate(place, *("--slo", slo, "--rate", rate, "--duration", "5s"), scenario=scenario)


def served(run):
    """Give the journal's lines of the run's own requests, by request id."""
    run_id = run.manifest["run_id"]
    lines = [line for line in run.events("request") if line["run_id"] == run_id]
    found = {line["request_id"]: line for line in lines}
    assert len(found) == len(lines), "a request was sent twice"
    return found


@TYPES
def test_every_type_is_judged(types):
    assert types.code == 0, types.out + types.err
    states = {finding["state"] for finding in types.verdict["findings"]}
    assert states == {"PASS", "INFO"}, "what a type cannot have is no missing data"


@TYPES
def test_every_type_is_in_both_books_as_often(types):
    journal = served(types)
    rows = types.ledger("request_id, target, trace_id, provider, outcome")
    assert {row[0] for row in rows} == journal.keys()
    ours = Counter((KINDS[target], outcome) for _, target, _, _, outcome in rows)
    assert ours == Counter((line["kind"], line["outcome"]) for line in journal.values())
    assert {kind for kind, _ in ours} == set(KINDS.values())
    for request_id, target, trace_id, provider, _ in rows:
        line = journal[request_id]
        assert (KINDS[target], trace_id) == (line["kind"], line["trace_id"])
        assert provider == (line["provider"] or line["target"])


@TYPES
def test_every_tool_call_reached_the_server(types):
    run_id = types.manifest["run_id"]
    mine = {line["trace_id"] for line in served(types).values() if line["run_id"] == run_id}
    methods = Counter(types.ledger("operation, tool", "api = 'mcp'"))
    spans = types.spans("trace_id, json_extract_string(attributes, '$.\"tfy.mcp_server.method\"')")
    seen = Counter(method for trace_id, method in spans if method and trace_id in mine)
    calls = methods["tools/call", "get_weather"]
    assert calls == 3 * methods["initialize", None] == seen["tools/call"]
    assert methods["tools/list", None] == seen["tools/list"] == methods["initialize", None]


@TYPES
def test_first_tokens_are_known_where_a_type_has_them(types):
    rows = types.ledger("target, count(*), count(first_token_ns)", "true GROUP BY target")
    known = {target: (n, tokens) for target, n, tokens in rows}
    streams = {"chat", "responses", "messages", "gemini"}
    assert all(known[target][0] == known[target][1] for target in streams)
    assert all(tokens == 0 for target, (_, tokens) in known.items() if target not in streams)


@TALKS
def test_turns_follow_their_session_in_both_books(talks):
    assert talks.code == 0, talks.out + talks.err
    journal = served(talks)
    rows = talks.ledger("session_id, turn, request_id", "true ORDER BY session_id, turn")
    assert {request_id for *_, request_id in rows} == journal.keys()
    turns = Counter(turn for _, turn, _ in rows)
    assert len(turns) == 3
    assert len(set(turns.values())) <= 2, "one prompt has a turn more than the other"
    for (session, turn, before), (same, following, after) in pairwise(rows):
        if session == same:
            assert following == turn + 1
            assert journal[before]["finished_mono_ns"] < journal[after]["received_mono_ns"]


@TALKS
def test_a_turn_made_of_a_tool_call_has_a_first_token_and_no_answer(talks):
    rows = talks.ledger(
        "count(*), count(first_token_ns), count(first_answer_ns)", "finish_reason = 'tool_calls'"
    )
    ((calls, tokens, answers),) = rows
    assert calls > 0
    assert (tokens, answers) == (calls, 0)

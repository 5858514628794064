"""The contract check: attributes that spans owe and lack, per type and provider."""

import random

from runfolder_builders import build_row, build_span, build_trace, reduced

from tfy_last9.judge.contract import gaps as gaps_at_hand
from tfy_last9.model.contract import REQUIREMENTS, ContractGap, Owed
from tfy_last9.model.trace import Role, SpanStatus
from tfy_last9.wire.last9_selection import ATTRIBUTES


def full(role, leave=(), **more):
    """Return attributes with which a span of the role keeps the contract by TrueFoundry's names."""
    names = {
        requirement.attribute: 1
        for requirement in REQUIREMENTS
        if requirement.role is role and requirement.owed is not Owed.FAILED
    }
    names["tfy.span_type"] = role.value
    return {name: value for name, value in (names | more).items() if name not in leave}


def trace(seq=0, provider="openai", model=None, root=None, status=SpanStatus.OK):
    return [
        build_span(seq, Role.ROOT, attributes=root or full(Role.ROOT)),
        build_span(seq, attributes=model or full(Role.MODEL), provider=provider, status=status),
    ]


def gaps(tmp_path, *traces):
    rows = [build_row(seq) for seq in range(len(traces))]
    with reduced(tmp_path, rows, [span for spans in traces for span in spans]) as reduction:
        return reduction.contract()


def test_spans_that_say_everything_leave_no_gap(tmp_path):
    assert gaps(tmp_path, trace(0), trace(1)) == ()


def test_a_gap_is_counted_per_provider_over_the_spans_that_owe_it(tmp_path):
    lacking = full(Role.MODEL, leave=("tfy.model.metric.cost_in_usd",))
    found = gaps(tmp_path, trace(0), trace(1, model=lacking), trace(2, "gemini", model=lacking))
    name = "tfy.model.metric.cost_in_usd"
    assert found == (
        ContractGap("model", "gemini", name, 1, 1),
        ContractGap("model", "openai", name, 1, 2),
    )


def test_a_root_is_named_by_the_provider_that_served_it(tmp_path):
    root = full(Role.ROOT, leave=("tfy.request.tenant_name",))
    [gap] = gaps(tmp_path, trace(0, "anthropic", root=root))
    assert (gap.span_type, gap.provider) == ("root", "anthropic")
    assert gap.attribute == "tfy.request.tenant_name"


def test_a_failed_call_owes_an_error_and_neither_tokens_nor_cost(tmp_path):
    silent = full(Role.MODEL, leave=[one.attribute for one in REQUIREMENTS if one.owed in TOKENS])
    [gap] = gaps(tmp_path, trace(0, model=silent, status=SpanStatus.ERROR))
    assert gap.attribute == "tfy.error_message"
    assert gaps_with_error(tmp_path, silent) == ()


TOKENS = (Owed.GOOD, Owed.TOKENS, Owed.STREAMED)


def gaps_with_error(tmp_path, attributes):
    told = attributes | {"tfy.error_message": "provider error"}
    return gaps(tmp_path / "told", trace(0, model=told, status=SpanStatus.ERROR))


def test_an_answer_in_one_piece_owes_no_first_token_and_an_embedding_no_tokens(tmp_path):
    whole = full(Role.MODEL, leave=["tfy.model.metric.time_to_first_token_in_ms"]) | {
        "tfy.model.streaming": False
    }
    embedding = full(Role.MODEL, leave=["tfy.model.metric.output_tokens"]) | {
        "tfy.model.request_type": "Embedding"
    }
    embedding.pop("tfy.model.metric.time_to_first_token_in_ms")
    assert gaps(tmp_path, trace(0, model=whole), trace(1, model=embedding)) == ()


def test_a_gateway_that_knows_genai_names_alone_keeps_the_contract(tmp_path):
    root = {"http.route": "/chat"}
    model = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt",
        "gen_ai.usage.input_tokens": 1,
        "gen_ai.usage.output_tokens": 1,
    }
    assert gaps(tmp_path, trace(0, root=root, model=model)) == ()
    del model["gen_ai.usage.output_tokens"]
    [gap] = gaps(tmp_path / "lacking", trace(0, root=root, model=model))
    assert (gap.span_type, gap.attribute) == ("model", "tfy.model.metric.output_tokens")


def test_traces_of_others_are_not_counted(tmp_path):
    foreign = [span for span in build_trace(7) if span.role is Role.MODEL]
    assert gaps(tmp_path, [*trace(0), *foreign]) == ()


def test_every_name_of_the_contract_is_selected_at_last9():
    names = {name for requirement in REQUIREMENTS for name in requirement.names}
    assert names <= set(ATTRIBUTES)


def test_the_doctor_counts_the_same_gaps_on_spans_at_hand(tmp_path):
    """Two ways to count, one contract: SQL over a run folder, and plain code over a few spans."""
    rng = random.Random(5)
    traces = [
        trace(
            seq,
            provider=rng.choice(["openai", "gemini"]),
            model=sparse(rng, Role.MODEL),
            root=sparse(rng, Role.ROOT),
            status=rng.choice(list(SpanStatus)),
        )
        for seq in range(40)
    ]
    counted = gaps(tmp_path, *traces)
    spans = [span for spans in traces for span in spans]
    assert counted
    assert set(counted) == set(gaps_at_hand(spans))


def sparse(rng, role):
    left = {name: value for name, value in full(role).items() if rng.random() < 0.8}
    more = {
        "tfy.model.streaming": rng.choice([True, False]),
        "tfy.model.request_type": rng.choice(["ChatCompletion", "Embedding"]),
        "tfy.error_message": "x",
    }
    return left | {name: value for name, value in more.items() if rng.random() < 0.5}

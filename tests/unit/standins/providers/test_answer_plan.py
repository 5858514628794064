import json
import statistics
from itertools import pairwise

import jsonschema
import pytest

from tfy_last9.standins.providers import answer
from tfy_last9.standins.providers.answer import Finish, Kind
from tfy_last9.standins.providers.route import route
from tfy_last9.standins.providers.vendors import ANTHROPIC, DEEPSEEK, GEMINI, OPENAI
from tfy_last9.standins.providers.wish import Tool, Wish, count_tokens


def planned(vendor=OPENAI, *, seed=1, k=0, model=None, **wish):
    served = vendor.served[model or next(iter(vendor.served))]
    asked = Wish(input_tokens=5, **{"max_tokens": 20} | wish)
    return answer.plan(served, asked, key=f"{seed}|{vendor.name}|{k}")


def test_twenty_tokens_asked_for_are_twenty_tokens_given():
    for k in range(200):
        plan = planned(k=k)
        assert len(plan.pieces) == plan.output_tokens == 20
        assert plan.finish is Finish.LENGTH


def test_an_unlimited_answer_stops_by_itself():
    lengths = []
    for k in range(200):
        plan = planned(k=k, max_tokens=None)
        assert plan.finish is Finish.STOP
        lengths.append(len(plan.pieces))
    assert min(lengths) >= 24
    assert max(lengths) <= 400
    assert 90 < statistics.median(lengths) < 150


def test_the_same_request_number_meets_the_same_latencies():
    assert planned(seed=3, k=9) == planned(seed=3, k=9)
    assert planned(seed=3, k=9) != planned(seed=4, k=9)
    assert planned(OPENAI, k=9).pieces[0].due_s != planned(ANTHROPIC, k=9).pieces[0].due_s


@pytest.mark.parametrize("vendor", [OPENAI, ANTHROPIC, GEMINI], ids=lambda v: v.name)
def test_first_tokens_and_gaps_have_the_medians_of_their_vendor(vendor):
    plans = [planned(vendor, k=k) for k in range(400)]
    speed = next(iter(vendor.served.values())).speed
    ttft_s = statistics.median(plan.pieces[0].due_s for plan in plans)
    assert ttft_s == pytest.approx(speed.ttft_median_s, rel=0.08)
    gaps_s = [b.due_s - a.due_s for plan in plans for a, b in pairwise(plan.pieces)]
    assert statistics.median(gaps_s) == pytest.approx(speed.gap_median_s, rel=0.05)
    assert min(gaps_s) > 0


def test_prompt_tokens_are_estimated_from_words_of_text_parts():
    assert count_tokens([{"content": "one two three"}]) == 4 + 4
    parts = [{"type": "text", "text": "one two three"}, {"type": "image_url"}]
    assert count_tokens([{"content": parts}]) == 4 + 4 + 85
    assert count_tokens([{"content": None}]) == 4


def test_a_silent_thinker_starts_later_and_pays_for_it():
    quick, slow = planned(), planned(model="gpt-5-mini")
    assert slow.pieces[0].due_s > quick.pieces[0].due_s
    assert {piece.kind for piece in slow.pieces} == {Kind.TEXT}
    assert slow.output_tokens == 20 + slow.reasoning_tokens
    assert slow.reasoning_tokens > 0
    assert planned(model="gpt-5-mini", thinks=False).reasoning_tokens == 0


def test_a_model_that_thinks_aloud_reasons_before_it_answers():
    plan = planned(DEEPSEEK)
    kinds = [piece.kind for piece in plan.pieces]
    assert kinds == sorted(kinds, key=[Kind.REASONING, Kind.TEXT].index)
    assert kinds.count(Kind.TEXT) == 20
    dues = [piece.due_s for piece in plan.pieces]
    assert dues == sorted(dues)
    hidden = planned(DEEPSEEK, shows_thinking=False)
    assert {piece.kind for piece in hidden.pieces} == {Kind.TEXT}
    assert hidden.reasoning_tokens == plan.reasoning_tokens


def test_a_model_that_cannot_think_does_not_because_it_is_asked_to():
    assert planned(thinks=True) == planned()


CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


def test_a_function_call_carries_arguments_of_its_schema():
    plan = planned(calls=(Tool("get_weather", CITY), Tool("echo", {})))
    assert plan.finish is Finish.CALLS
    assert json.loads(plan.joined(Kind.CALL, 0)) == {"city": "blue sky"}
    assert json.loads(plan.joined(Kind.CALL, 1)) == {}
    assert not plan.joined(Kind.TEXT)


def test_a_structured_answer_follows_its_schema_and_is_cut_by_a_limit():
    whole = planned(schema=CITY, max_tokens=None)
    jsonschema.validate(json.loads(whole.joined(Kind.TEXT)), CITY)
    assert whole.finish is Finish.STOP
    assert planned(schema=CITY, max_tokens=2).finish is Finish.LENGTH


def test_a_stop_sequence_ends_an_answer_before_it():
    said = planned().joined(Kind.TEXT)
    word = said.split()[4]
    cut = planned(stops=(word,))
    assert (cut.finish, cut.stopped_by) == (Finish.SEQUENCE, word)
    assert word not in cut.joined(Kind.TEXT)
    assert said.startswith(cut.joined(Kind.TEXT))


def test_vendor_paths_lead_to_vendors():
    assert route("/openai/v1/chat/completions").vendor is OPENAI
    assert route("/anthropic/v1/messages").vendor is ANTHROPIC
    gemini = route("/gemini/v1beta/models/gemini-2.5-flash:streamGenerateContent")
    assert (gemini.vendor, gemini.model) == (GEMINI, "gemini-2.5-flash")
    assert route("/gemini/v1beta/models/gemini-2.5-flash:countTokens") is None
    assert route("/v1/chat/completions") is None
    assert route("/openai/v1/embeddings").dialect is None


def test_error_bodies_have_their_vendors_shape():
    assert OPENAI.error_body(503, "m")["error"]["type"] == "server_error"
    assert ANTHROPIC.error_body(503, "m")["type"] == "error"
    assert GEMINI.error_body(503, "m")["error"]["status"] == "UNAVAILABLE"

import json
import statistics

import pytest

from tfy_last9.standins.providers import answer
from tfy_last9.standins.providers.vendors import ANTHROPIC, GEMINI, OPENAI, route


def planned(vendor=OPENAI, *, seed=1, k=0, max_tokens=20):
    return answer.plan(vendor, seed=seed, k=k, max_tokens=max_tokens, input_tokens=5)


def test_twenty_tokens_asked_for_are_twenty_tokens_given():
    for k in range(200):
        plan = planned(k=k)
        assert len(plan.tokens) == len(plan.due_s) == 20
        assert plan.finish_reason == "length"


def test_an_unlimited_answer_stops_by_itself():
    lengths = []
    for k in range(200):
        plan = planned(k=k, max_tokens=None)
        assert plan.finish_reason == "stop"
        lengths.append(len(plan.tokens))
    assert min(lengths) >= 24
    assert max(lengths) <= 400
    assert 90 < statistics.median(lengths) < 150


def test_the_same_request_number_meets_the_same_latencies():
    assert planned(seed=3, k=9) == planned(seed=3, k=9)
    assert planned(seed=3, k=9) != planned(seed=4, k=9)
    assert planned(OPENAI, k=9).due_s != planned(ANTHROPIC, k=9).due_s


@pytest.mark.parametrize("vendor", [OPENAI, ANTHROPIC, GEMINI], ids=lambda v: v.name)
def test_first_tokens_and_gaps_have_the_medians_of_their_vendor(vendor):
    plans = [planned(vendor, k=k) for k in range(400)]
    ttft_s = statistics.median(plan.due_s[0] for plan in plans)
    assert ttft_s == pytest.approx(vendor.ttft_median_s, rel=0.08)
    gaps_s = [b - a for plan in plans for a, b in zip(plan.due_s, plan.due_s[1:], strict=False)]
    assert statistics.median(gaps_s) == pytest.approx(vendor.gap_median_s, rel=0.05)
    assert min(gaps_s) > 0


def test_prompt_tokens_are_estimated_from_words_of_text_parts():
    assert answer.count_input_tokens([{"content": "one two three"}]) == 4 + 4
    parts = [{"type": "text", "text": "one two three"}, {"type": "image_url"}]
    assert answer.count_input_tokens([{"content": parts}]) == 4 + 4
    assert answer.count_input_tokens([{"content": None}]) == 4


def test_each_chunk_is_one_event_with_the_served_model():
    chunks = answer.Chunks("chatcmpl-1", 1, "gpt-4o-mini-2024-07-18")
    for event in (chunks.role(), chunks.token(" a"), chunks.finish("stop"), chunks.usage({})):
        assert event.startswith(b"data: ")
        assert event.endswith(b"\n\n")
        assert event.count(b"\n\n") == 1
        assert json.loads(event[6:])["model"] == "gpt-4o-mini-2024-07-18"


def test_vendor_paths_lead_to_vendors():
    assert route("/openai/v1/chat/completions").vendor is OPENAI
    assert route("/anthropic/v1/messages").vendor is ANTHROPIC
    gemini = route("/gemini/v1beta/models/gemini-2.5-flash:streamGenerateContent")
    assert (gemini.vendor, gemini.model) == (GEMINI, "gemini-2.5-flash")
    assert route("/gemini/v1beta/models/gemini-2.5-flash:countTokens") is None
    assert route("/v1/chat/completions") is None


def test_error_bodies_have_their_vendors_shape():
    assert OPENAI.error_body(503, "m")["error"]["type"] == "server_error"
    assert ANTHROPIC.error_body(503, "m")["type"] == "error"
    assert GEMINI.error_body(503, "m")["error"]["status"] == "UNAVAILABLE"

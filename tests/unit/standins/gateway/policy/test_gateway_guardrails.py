"""What guardrails find, change and block, and what the cache keeps."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfy_last9.standins.gateway.policy.cache import Cache, CacheConfig, Kept
from tfy_last9.standins.gateway.policy.config import Enforcing, Guardrail, Operation
from tfy_last9.standins.gateway.policy.guardrails import (
    Result,
    judge,
    redacted,
    scope,
    texts,
)

CHAT = {
    "model": "sk-model",
    "messages": [
        {"role": "user", "content": "key sk-1"},
        {"role": "user", "content": [{"type": "text", "text": "hello"}]},
    ],
}
BODIES = {
    "chat": CHAT,
    "messages": {"system": "key sk-1", "messages": [{"role": "user", "content": "x"}]},
    "responses": {"input": "key sk-1"},
    "gemini": {"contents": [{"parts": [{"text": "key sk-1"}]}]},
    "completions": {"prompt": ["key sk-1"]},
    "answer": {"choices": [{"message": {"content": "key sk-1"}}]},
}


def rail(operation=Operation.VALIDATE, enforcing=Enforcing.ENFORCE, **more):
    return Guardrail("safety/keys", operation, enforcing, re.compile(r"sk-\w+"), **more)


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_texts_are_found_in_every_interface(body):
    assert judge(rail(), texts(body)).result is Result.FLAG
    mutating = rail(Operation.MUTATE)
    assert judge(mutating, texts(body)).result is Result.MUTATE
    assert judge(mutating, texts(redacted(mutating, body))).result is Result.PASS


def test_only_texts_are_changed():
    changed = redacted(rail(Operation.MUTATE), CHAT)
    assert changed["model"] == "sk-model"
    assert changed["messages"][0] == {"role": "user", "content": "key [redacted]"}
    assert CHAT["messages"][0]["content"] == "key sk-1", "a copy is changed"


def test_the_scope_last_looks_at_the_last_message_alone():
    assert judge(rail(), texts(scope(CHAT, last_only=True))).result is Result.PASS


@pytest.mark.parametrize(
    ("enforcing", "finding", "failure"),
    [
        (Enforcing.ENFORCE, True, True),
        (Enforcing.AUDIT, False, False),
        (Enforcing.IGNORE_ERRORS, True, False),
    ],
)
def test_what_blocks_depends_on_the_enforcing_strategy(enforcing, finding, failure):
    assert judge(rail(enforcing=enforcing), texts(CHAT)).blocks is finding
    broken = judge(rail(enforcing=enforcing, is_broken=True), ["fine"])
    assert broken.blocks is failure
    assert broken.error


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5)),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["content", "text", "messages", "role", "parts", "id"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(st.dictionaries(st.sampled_from(["messages", "content", "input"]), JSON, max_size=3))
def test_redacting_changes_texts_and_nothing_else(body):
    everything = Guardrail("g/all", Operation.MUTATE, Enforcing.ENFORCE, re.compile(r"(?s).+"), "*")
    changed = redacted(everything, body)
    assert [("*" if text else "") for text in texts(body)] == list(texts(changed))
    assert changed.keys() == body.keys()


def test_a_cached_answer_is_found_by_everything_that_makes_it_the_same():
    config = CacheConfig.parse('{"type": "exact-match", "ttl": 60}')
    key = config.key("app", "/chat model", {"a": 1, "b": 2})
    assert key == config.key("app", "/chat model", {"b": 2, "a": 1})
    assert key != config.key("other", "/chat model", {"a": 1, "b": 2})
    assert key != config.key("app", "/chat other", {"a": 1, "b": 2})
    apart = CacheConfig.parse('{"type": "exact-match", "namespace": "x"}')
    assert key != apart.key("app", "/chat model", {"a": 1, "b": 2})


def test_an_answer_expires_and_the_oldest_leave_first():
    cache = Cache(most=2)
    cache.store("a", Kept("t", 1), 60.0, 0.0)
    assert cache.find("a", 59.9) == Kept("t", 1)
    assert cache.find("a", 60.0) is None
    for key in "bcd":
        cache.store(key, Kept(key, 1), 60.0, 100.0)
    assert [cache.find(key, 101.0) is not None for key in "bcd"] == [False, True, True]


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"type": "fuzzy"}',
        '{"type": "exact-match", "ttl": 0}',
        '{"type": "exact-match", "ttl": true}',
        '{"type": "semantic", "similarity_threshold": 1.5}',
        '{"type": "semantic", "similarity_threshold": "high"}',
    ],
)
def test_a_cache_config_that_cannot_be_read_is_refused(text):
    with pytest.raises(ValueError, match="must be"):
        CacheConfig.parse(text)

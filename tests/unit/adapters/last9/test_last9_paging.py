"""How wide the next slice is: a full answer is thrown away, and one half empty costs a query."""

import random

import httpx
from hypothesis import given, settings
from hypothesis import strategies as st
from last9_double import EPOCH_S, Last9Double, connected, enveloped, span_row

from tfy_last9.adapters.last9.paging import Cap, Slice, Todo
from tfy_last9.model.run import Window

LIMIT = 100


def read(rows, seconds, **settings):
    double = Last9Double(rows=rows)
    _, source = connected(double, region="r", page_limit=LIMIT, **settings)
    page = source.spans(Window(EPOCH_S * 10**9, (EPOCH_S + seconds) * 10**9))
    assert not page.truncated
    assert len(page.spans) == len(rows)
    return double


def steady(count, seconds):
    return [span_row(n + 1, n * seconds / count) for n in range(count)]


def test_the_next_slice_follows_the_density_of_the_last():
    """20 a second, so that 3 s and the overlap fill an answer as far as is wise."""
    double = read(steady(6000, 300), 300)
    fetched = sum(len(answer) for answer in answers(double))
    assert fetched < 1.5 * 6000  # a second of overlap on each four costs a quarter
    full = [answer for answer in answers(double) if len(answer) >= LIMIT]
    assert len(full) <= 8


def answers(double):
    for query in double.queries:
        start, end = (int(query.url.params[key]) for key in ("start", "end"))
        yield [row for row in double.rows if start <= row["_at_s"] < end][:LIMIT]


def test_a_burst_does_not_turn_a_quiet_hour_into_hundreds_of_queries():
    burst = [span_row(n + 1, 10 + n / 30) for n in range(240)]
    double = read([*burst, span_row(999, 3000)], 3600)
    assert len(double.queries) < 40


def test_what_was_too_heavy_is_not_asked_for_again():
    rows = steady(50, 3000)
    heavy = []

    def answer(request):
        if request.url.path.endswith("access_token"):
            return Last9Double()(request)
        start, end = (int(request.url.params[key]) for key in ("start", "end"))
        if end - start > 300:
            heavy.append(end - start)
            return httpx.Response(408, json={"error": "too heavy"})
        return httpx.Response(
            200, json=enveloped([row for row in rows if start <= row["_at_s"] < end])
        )

    _, source = connected(answer, region="r", page_limit=LIMIT, parallel=1)
    page = source.spans(Window(EPOCH_S * 10**9, (EPOCH_S + 3000) * 10**9))
    assert len(page.spans) == 50
    assert len(set(heavy)) <= 4  # 3001, and its halves down to what is answered
    assert len(heavy) <= 2 * len(set(heavy))  # each asked twice: 408 may pass


@given(
    st.lists(st.tuples(st.integers(1, 50), st.integers(0, 400)), max_size=30),
    st.integers(1, 500),
)
@settings(max_examples=50)
def test_slices_are_taken_in_order_and_none_is_lost(learnt, seconds):
    todo = Todo([Slice(0, seconds), Slice(seconds, seconds + 7)], Cap(LIMIT))
    at, dice = 0, random.Random(1)
    while len(todo):
        part = todo.popleft()
        assert part.start_s == at
        assert part.seconds > 0
        if part.seconds > 1 and dice.random() < 0.2:
            todo.put_back(part.split(2))
            continue
        at = part.end_s
        if learnt:
            todo.learn(*learnt.pop())
    assert at == seconds + 7

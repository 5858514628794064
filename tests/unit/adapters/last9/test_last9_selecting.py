"""Contents are not fetched; where Last9 does not play along, that is told and they are dropped."""

import httpx
import orjson
import pytest
from last9_double import EPOCH_S, Last9Double, connected, enveloped, span_row

from tfy_last9.adapters.last9.client import FetchCapReached
from tfy_last9.model.run import Window

SECRET = "my prompt about a merger"
WINDOW = Window(EPOCH_S * 10**9, (EPOCH_S + 60) * 10**9)


def whole_rows(count=3):
    """Rows with contents, as they come without `select`."""
    rows = [span_row(n + 1, n + 1) for n in range(count)]
    for row in rows:
        row["SpanAttributes"] = {**row["SpanAttributes"], "tfy.input": SECRET}
    return rows


def labels(request):
    stages = orjson.loads(request.content)["pipeline"]
    return next((stage["labels"] for stage in stages if stage["type"] == "select"), None)


class Selecting(Last9Double):
    """Answers `select` in the shape that `shape` makes of the wanted values."""

    def __call__(self, request):
        if "query_range" not in request.url.path or labels(request) is None:
            return super().__call__(request)
        self.requests.append(request)
        return self.shape(labels(request), self.rows)


def flat(wanted, rows):
    def value(row, field):
        for scope, name in (("attributes", "SpanAttributes"), ("resources", "ResourceAttributes")):
            if field.startswith(scope):
                return row[name].get(field[len(scope) + 2 : -2], "")
        return row.get(field, "")

    return httpx.Response(
        200,
        json=enveloped(
            [{alias: value(row, field) for field, alias in wanted.items()} for row in rows]
        ),
    )


def look(shape, **settings):
    double = Selecting(rows=whole_rows())
    double.shape = shape
    _, source = connected(double, region="r", **settings)
    return source.spans(WINDOW), source, double


def test_selected_spans_are_read_and_contents_never_travel():
    page, source, double = look(flat)
    assert len(page.spans) == 3
    assert "not fetched" in source.contents
    assert [labels(request) is not None for request in double.queries] == [True]


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        (lambda _, __: httpx.Response(400, json={"error": "unknown stage select"}), "refused"),
        (lambda _, __: httpx.Response(422, json={"error": "no"}), "refused"),
        (lambda _, __: httpx.Response(501, json={"error": "no"}), "refused"),
        (lambda _, rows: httpx.Response(200, json=enveloped(rows)), "ignored"),
        (lambda _, __: httpx.Response(200, json=enveloped([{"x": 1}])), "cannot be used"),
    ],
)
def test_without_select_the_same_spans_are_fetched_and_it_is_told(shape, said):
    page, source, _ = look(shape)
    assert len(page.spans) == 3
    assert said in source.contents
    assert "dropped on arrival" in source.contents
    assert SECRET not in repr(page)


def test_an_unreadable_value_in_a_selected_answer_is_asked_for_again_whole():
    """The shape may be at fault and not the span."""

    def odd(wanted, rows):
        answer = orjson.loads(flat(wanted, rows).content)
        for row in answer["data"]["result"]:
            row["Timestamp"] = 1795417200
        return httpx.Response(200, json=answer)

    page, source, _ = look(odd)
    assert len(page.spans) == 3
    assert page.problems == ()
    assert source.counters.unreadable == 0
    assert "cannot be read" in source.contents


def test_select_is_given_up_for_good():
    page, source, double = look(lambda _, __: httpx.Response(400, json={"error": "no"}))
    source.spans(WINDOW)
    assert [labels(request) is not None for request in double.queries] == [True, False, False]
    assert len(page.spans) == 3


def test_select_can_be_switched_off():
    _, source, double = look(flat, select=False)
    assert [labels(request) for request in double.queries] == [None]
    assert "LAST9_SELECT" in source.contents


def test_a_query_that_is_wrong_with_and_without_select_is_an_error():
    from tfy_last9.errors import BackendUnavailable

    double = Last9Double(script=[httpx.Response(400, json={"error": "bad region"})] * 2)
    _, source = connected(double, region="r")
    with pytest.raises(BackendUnavailable, match="bad region"):
        source.spans(WINDOW)


def test_reading_stops_at_the_cap_and_says_how_to_raise_it():
    rows = [span_row(n + 1, 1 + n / 100, SpanName="x" * 100_000) for n in range(20)]
    _, source = connected(Last9Double(rows=rows), region="r", max_mb=1)
    with pytest.raises(FetchCapReached, match="LAST9_MAX_MB") as caught:
        source.spans(WINDOW)
    assert "LAST9_MAX_MB" in caught.value.hint

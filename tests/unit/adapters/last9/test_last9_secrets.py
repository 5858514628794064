"""A server that sends tokens back in its errors: none of them reaches a message, a note or a sample."""

import httpx
import orjson
import pytest
from last9_double import EPOCH_S, REFRESH, Last9Double, connected

from tfy_last9.adapters.last9.catalogue import Catalogue, announce
from tfy_last9.adapters.last9.counting import Counting
from tfy_last9.adapters.last9.experiments import Experiments
from tfy_last9.errors import TfyError
from tfy_last9.model.run import Window
from tfy_last9.wire.last9_queries import spans_of_service

WINDOW = Window(EPOCH_S * 10**9, (EPOCH_S + 60) * 10**9)
PIPELINE = spans_of_service("gw")


class Echo(Last9Double):
    """Answers every call with the token that came along, and with the refresh token."""

    status = 400

    def __call__(self, request):
        if request.url.path.endswith("access_token"):
            return super().__call__(request)
        self.requests.append(request)
        token = request.headers["X-LAST9-API-TOKEN"]
        return httpx.Response(self.status, json={"error": f"{token} {REFRESH}"})


def is_clean(text, double):
    sent = double.requests[-1].headers["X-LAST9-API-TOKEN"].removeprefix("Bearer ")
    return sent not in text and REFRESH not in text and "eyJ" not in text


QUESTIONS = {
    "series": lambda client: Catalogue(client).attributes(PIPELINE, WINDOW),
    "values": lambda client: Catalogue(client).values("k", WINDOW),
    "tags": lambda client: Catalogue(client).tags(WINDOW),
    "heat map": lambda client: Catalogue(client).heat_map(PIPELINE, WINDOW),
    "change event": lambda client: announce(client, "e", "start", 0, {}),
    "count": lambda client: Counting(client, "gw", 10).is_exclusive("r", WINDOW),
}


@pytest.mark.parametrize("question", QUESTIONS.values(), ids=QUESTIONS.keys())
@pytest.mark.parametrize("status", [400, 403, 418])
def test_no_exception_repeats_a_token(question, status):
    double = Echo()
    double.status = status
    client, _ = connected(double, region="r")
    with pytest.raises(TfyError) as caught:
        question(client)
    assert is_clean(f"{caught.value} {caught.value.hint} {caught.value!r}", double)


def test_the_note_about_a_refused_select_repeats_no_token():
    double = Echo()
    _, source = connected(double, region="r")
    with pytest.raises(TfyError):
        source.spans(WINDOW)
    assert "refused" in source.contents
    assert is_clean(source.contents, double)


def test_samples_and_what_is_said_about_them_repeat_no_token():
    double = Echo()
    client, _ = connected(double, region="r")
    found = Experiments(client, "gw", WINDOW).run()
    text = orjson.dumps([(one.said, one.sample) for one in found]).decode()
    assert is_clean(text, double)


def test_no_token_is_ever_part_of_an_address():
    double = Echo()
    client, _ = connected(double, region="r")
    Experiments(client, "gw", WINDOW).run()
    for request in double.requests:
        assert "eyJ" not in str(request.url)

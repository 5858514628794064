"""Patience with a back end, its limits, and what is said when they are reached."""

import random
import socket
import threading

import httpx
import pytest
from last9_double import EPOCH_S, REFRESH, FakeClock, Last9Double, connected

from tfy_last9.adapters.last9.calls import Retry
from tfy_last9.adapters.last9.client import Last9Client
from tfy_last9.adapters.last9.settings import Last9Settings, from_environment
from tfy_last9.errors import BackendUnavailable, ConfigurationError
from tfy_last9.model.run import Window

WINDOW = Window(EPOCH_S * 10**9, (EPOCH_S + 10) * 10**9)
REFUSED = httpx.ConnectError("[Errno 111] Connection refused")


@pytest.mark.parametrize(
    "trouble",
    [
        httpx.Response(429),
        httpx.Response(500),
        httpx.Response(503),
        REFUSED,
        httpx.ReadTimeout("slow"),
    ],
)
def test_passing_trouble_is_waited_out(trouble):
    clock = FakeClock()
    _, source = connected(Last9Double(script=[trouble, trouble]), clock, region="r")
    assert source.spans(WINDOW).spans == ()
    assert len(clock.slept) == 2


@pytest.mark.parametrize("status", [400, 404, 422, 501])
def test_lasting_trouble_is_not_repeated(status):
    clock = FakeClock()
    double = Last9Double(script=[httpx.Response(status, json={"error": "bad pipeline"})])
    _, source = connected(double, clock, region="r", select=False)
    with pytest.raises(BackendUnavailable, match=f"{status}.*bad pipeline"):
        source.spans(WINDOW)
    assert clock.slept == []


def test_patience_ends_and_the_last_answer_is_told():
    clock = FakeClock()
    double = Last9Double(script=[httpx.Response(503, text="overloaded")] * 99)
    _, source = connected(double, clock, region="r", retry=Retry(attempts=4))
    with pytest.raises(BackendUnavailable, match=r"503.*4 times.*overloaded"):
        source.spans(WINDOW)
    assert len(clock.slept) == 3


def test_pauses_double_and_are_shortened_at_random():
    retry, jitter = Retry(first_s=1, cap_s=4), random.Random(7)
    pauses = [retry.pause_s(attempt, jitter, None) for attempt in range(1, 6)]
    for pause, longest in zip(pauses, [1, 2, 4, 4, 4], strict=True):
        assert longest / 2 <= pause <= longest


def test_the_sum_of_pauses_is_bounded():
    clock = FakeClock()
    double = Last9Double(script=[httpx.Response(503)] * 99)
    retry = Retry(attempts=99, first_s=4, cap_s=4, total_s=20)
    _, source = connected(double, clock, region="r", retry=retry)
    with pytest.raises(BackendUnavailable):
        source.spans(WINDOW)
    assert sum(clock.slept) <= 20


def test_retry_after_is_heeded():
    clock = FakeClock()
    double = Last9Double(script=[httpx.Response(429, headers={"Retry-After": "7"})])
    _, source = connected(double, clock, region="r")
    source.spans(WINDOW)
    assert clock.slept == [7.0]


def test_a_retry_after_beyond_all_patience_ends_the_attempts():
    clock = FakeClock()
    double = Last9Double(script=[httpx.Response(429, headers={"Retry-After": "3600"})])
    _, source = connected(double, clock, region="r")
    with pytest.raises(BackendUnavailable, match="429"):
        source.spans(WINDOW)
    assert clock.slept == []


@pytest.mark.parametrize(
    "error",
    [
        REFUSED,
        httpx.ConnectError("[Errno -2] Name or service not known"),
        httpx.ReadTimeout("The read operation timed out"),
        httpx.RemoteProtocolError("Server disconnected without sending a response."),
    ],
)
def test_the_underlying_network_error_is_in_the_message(error):
    _, source = connected(Last9Double(script=[error] * 9), region="r")
    with pytest.raises(BackendUnavailable) as caught:
        source.spans(WINDOW)
    assert str(error) in str(caught.value)
    assert type(error).__name__ in str(caught.value)


def test_a_certificate_that_is_not_trusted_is_told_at_once():
    clock = FakeClock()
    error = httpx.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed")
    _, source = connected(Last9Double(script=[error] * 9), clock, region="r")
    with pytest.raises(BackendUnavailable, match="CERTIFICATE_VERIFY_FAILED"):
        source.spans(WINDOW)
    assert clock.slept == []


def test_the_wrong_region_is_a_matter_of_configuration():
    double = Last9Double(script=[httpx.Response(500, json={"error": "ERR_S3_CONFIG_MISSING"})])
    clock = FakeClock()
    _, source = connected(double, clock, region="mars-1")
    with pytest.raises(ConfigurationError) as caught:
        source.spans(WINDOW)
    assert "mars-1" in str(caught.value.hint)
    assert clock.slept == []


def test_a_maintenance_page_points_at_the_region():
    page = httpx.Response(502, text="<html>Maintenance Mode</html>")
    _, source = connected(Last9Double(script=[page] * 9), region="mars-1")
    with pytest.raises(BackendUnavailable, match="Maintenance Mode") as caught:
        source.spans(WINDOW)
    assert "LAST9_REGION" in str(caught.value.hint)


def test_the_region_is_that_of_the_default_data_source():
    other = {"name": "other", "region": "us-east-1", "is_default": False}
    double = Last9Double()
    double.datasources = [other, *double.datasources]
    client, source = connected(double)
    source.spans(WINDOW)
    source.spans(WINDOW)
    assert (client.place().region, client.place().cluster) == ("ap-south-1", "cl-1")
    assert double.queries[0].url.params["region"] == "ap-south-1"
    asked = [request for request in double.requests if request.url.path.endswith("/datasources")]
    assert len(asked) == 1


def test_one_region_needs_no_default():
    double = Last9Double(datasources=[{"name": "a", "region": "us-east-1"}])
    assert connected(double)[0].place().region == "us-east-1"


@pytest.mark.parametrize("sources", [[], [{"region": "a"}, {"region": "b"}]])
def test_an_ambiguous_region_has_to_be_set(sources):
    with pytest.raises(ConfigurationError) as caught:
        connected(Last9Double(datasources=sources))[0].place()
    assert "LAST9_REGION" in str(caught.value.hint)


def test_an_error_page_with_status_200_is_no_empty_answer():
    double = Last9Double(script=[httpx.Response(200, text="<html>Maintenance Mode</html>")])
    _, source = connected(double, region="r")
    with pytest.raises(BackendUnavailable, match="Maintenance Mode"):
        source.spans(WINDOW)


def test_the_usual_variables_name_a_proxy(monkeypatch):
    asked = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def refuse():
            connection, _ = listener.accept()
            with connection:
                asked.append(connection.recv(4096))
                connection.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")

        thread = threading.Thread(target=refuse)
        thread.start()
        monkeypatch.setenv("HTTPS_PROXY", f"http://me:secret@127.0.0.1:{listener.getsockname()[1]}")
        monkeypatch.delenv("NO_PROXY", raising=False)
        settings = Last9Settings(refresh_token=REFRESH, region="r")
        once = Retry(attempts=1)
        with (
            Last9Client(settings, FakeClock(), retry=once) as client,
            pytest.raises(BackendUnavailable, match="403 Forbidden") as caught,
        ):
            client.query({"pipeline": []}, EPOCH_S, EPOCH_S + 1, 1)
        thread.join()
    assert asked[0].startswith(b"CONNECT app.last9.io:443 ")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HTTPS_PROXY", "socks5://me:secret@127.0.0.1:1"),
        ("SSL_CERT_FILE", "/nowhere/secret.pem"),
    ],
)
def test_a_setting_of_the_network_that_cannot_be_used_is_told(monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=name):
        Last9Client(Last9Settings(refresh_token=REFRESH), FakeClock())


def test_a_bundle_of_authorities_that_cannot_be_used_is_told():
    given = {"LAST9_REFRESH_TOKEN": REFRESH, "TFY_CA_BUNDLE": "/nowhere/ca.pem"}
    with pytest.raises(ConfigurationError, match=r"TFY_CA_BUNDLE names '/nowhere/ca\.pem'"):
        Last9Client(from_environment(given), FakeClock())


def test_a_refused_limit_points_at_its_setting():
    double = Last9Double(script=[httpx.Response(400, json={"error": "limit must be <= 1000"})] * 2)
    _, source = connected(double, region="r")
    with pytest.raises(BackendUnavailable) as caught:
        source.spans(WINDOW)
    assert "LAST9_PAGE_LIMIT (now 5000)" in caught.value.hint


@pytest.mark.parametrize("status", [400, 503])
@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ({"X-Request-ID": "req-7", "X-Correlation-ID": "c-1"}, " (request id req-7)"),
        ({"X-Correlation-ID": "c-1"}, " (request id c-1)"),
        ({"X-Request-ID": "<script>"}, ""),
        ({}, ""),
    ],
)
def test_the_id_that_support_asks_for_is_in_the_message(status, headers, said):
    answers = [httpx.Response(status, json={"error": "no"}, headers=headers) for _ in range(12)]
    _, source = connected(Last9Double(script=answers), FakeClock(), region="r")
    with pytest.raises(BackendUnavailable) as caught:
        source.spans(WINDOW)
    assert caught.value.message.endswith(f": no{said}")

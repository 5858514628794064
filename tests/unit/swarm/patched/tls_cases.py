"""TLS: verified, and still timed by the kernel. The authority is made for the test, by openssl."""

import ssl
import subprocess

import gateway_double as double
import pytest
from gateway_double import ANSWER, KEY, ask

from tfy_last9.swarm import stream


def openssl(folder, *arguments):
    command = ["openssl", *(str(argument) for argument in arguments)]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def papers(tmp_path_factory):
    """Make an authority, and certificates of its for localhost and for another name."""
    folder = tmp_path_factory.mktemp("papers")
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    openssl(
        folder,
        *("req", "-x509", *curve, "-keyout", "ca.key", "-out", "ca.pem", "-days", 2),
        *("-subj", "/CN=test authority", "-addext", "keyUsage=critical,keyCertSign"),
    )
    for name in ("localhost", "elsewhere"):
        openssl(
            folder,
            *("req", "-x509", *curve, "-keyout", f"{name}.key", "-out", f"{name}.pem"),
            *("-days", 2, "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}"),
            *("-CA", "ca.pem", "-CAkey", "ca.key"),
        )
    return folder


def serving(papers, name="localhost"):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(papers / f"{name}.pem", papers / f"{name}.key")
    return double.gateway(lambda peer: peer.send(ANSWER), ssl_context=context)


@pytest.fixture
def trusting(papers, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(papers / "ca.pem"))
    return papers


def test_a_stream_over_tls_is_read_with_the_kernels_clock(trusting):
    with serving(trusting) as server, double.driver(server.url) as client:
        answers = [ask(client) for _ in range(3)]
        assert server.connections == 1
        sent_ns = server.sent_ns
    assert [answer.outcome for answer in answers] == ["ok"] * 3
    assert {answer.clock for answer in answers} == {"kernel"}
    assert {answer.facts.chunks for answer in answers} == {2}
    for answer, sent in zip(answers, sent_ns, strict=True):
        assert sent <= answer.first_byte_ns < sent + 20e6


def test_a_session_ticket_is_not_the_first_byte_of_an_answer(trusting):
    """TLS 1.3 servers send tickets after the handshake, long before they answer."""

    def slow(peer):
        double.gevent.sleep(0.05)
        peer.send(ANSWER)

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(trusting / "localhost.pem", trusting / "localhost.key")
    with double.gateway(slow, ssl_context=context) as server, double.driver(server.url) as client:
        answer = ask(client)
    assert answer.first_byte_ns >= server.sent_ns[0]


def test_an_unknown_authority_is_refused_and_the_key_stays_here(papers):
    with serving(papers) as server, double.driver(server.url) as client:
        answer = ask(client)
        assert not server.requests
    assert (answer.outcome, answer.error_type) == ("connect_error", "certificate_refused")
    assert KEY not in (answer.error_message or "")


def test_a_certificate_for_another_name_is_refused(trusting):
    with serving(trusting, "elsewhere") as server, double.driver(server.url) as client:
        answer = ask(client)
    assert answer.error_type == "certificate_refused"
    assert "localhost" in answer.error_message


def test_a_peer_that_speaks_no_tls_is_named():
    server = double.Gateway(lambda peer: peer.send(b""))
    with double.driver(server.url.replace("http:", "https:"), double.HASTY) as client:
        answer = ask(client)
    server.stop()
    assert answer.outcome == "connect_error"
    assert answer.error_type in {"tls", "connect_timeout", "unreachable"}


def test_a_handshake_that_never_ends_is_given_up():
    silent = double.Silent()
    with double.driver(silent.url.replace("http:", "https:"), double.HASTY) as client:
        answer = ask(client)
    silent.close()
    assert (answer.outcome, answer.error_type) == ("connect_error", "connect_timeout")


def test_certificates_are_always_verified():
    context = stream.tls_context()
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2

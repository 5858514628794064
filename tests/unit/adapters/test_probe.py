"""The probe takes the way that the load takes."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tfy_last9.adapters.environment import GatewaySettings
from tfy_last9.adapters.files.scenario import load_scenario
from tfy_last9.adapters.probe import probe

SCENARIO = Path(__file__).parents[3] / "scenarios" / "smoke.yaml"
ANSWER = b'data: {"choices": [{"delta": {"content": "hi"}}]}\n\ndata: [DONE]\n\n'


class Answering(BaseHTTPRequestHandler):
    """A gateway that answers every request with one token."""

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-length", str(len(ANSWER)))
        self.end_headers()
        self.wfile.write(ANSWER)

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture
def gateway():
    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield GatewaySettings(f"http://127.0.0.1:{server.server_port}", "key")
        server.shutdown()
        thread.join()


def test_a_proxy_in_the_environment_is_not_asked(gateway, monkeypatch):
    """The load asks none; through a proxy a sandbox on loopback cannot be reached at all."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    scenario = load_scenario(SCENARIO)
    found = probe(gateway, scenario.targets[0], scenario.prompts[0], scenario.limits, "r")
    assert (found.status, found.problem) == (200, None)

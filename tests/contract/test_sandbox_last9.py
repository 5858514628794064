"""The sandbox's Last9 from outside: TLS, data that outlive a restart, faults through the gateway."""

import json
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from ssl import create_default_context

import httpx
import pytest

from tfy_last9.adapters.clock import SystemClock
from tfy_last9.adapters.last9.client import Last9Client
from tfy_last9.adapters.last9.settings import from_environment

pytestmark = pytest.mark.contract

QUESTION = {
    "model": "openai-main/gpt-4o-mini",
    "messages": [{"role": "user", "content": "Why is the sky blue?"}],
}


class Running:
    """A sandbox, and a client that trusts it."""

    def __init__(self, ready):
        self.env = ready["env"]
        self.journal = Path(ready["journal"])
        authority = self.env.get("TFY_CA_BUNDLE")
        verify = create_default_context(cafile=authority) if authority else False
        self.client = httpx.Client(verify=verify, trust_env=False, timeout=20)
        self.key = {"authorization": f"Bearer {self.env['TFY_API_KEY']}"}

    def ask(self):
        url = f"{self.env['TFY_GATEWAY_URL']}/chat/completions"
        return self.client.post(url, json=QUESTION, headers=self.key)

    def stored(self):
        return self.client.get(f"{self.env['LAST9_API_URL']}/sandbox/health").json()["spans"]

    def wait_for(self, spans):
        until = time.monotonic() + 20
        while self.stored() < spans:
            assert time.monotonic() < until
            time.sleep(0.05)

    def faults(self, server, *specs):
        path = f"{self.env[server]}/sandbox/faults"
        if specs:
            return self.client.put(path, json=list(specs), headers=self.key).json()
        return self.client.get(path, headers=self.key).json()

    def exchange(self, refresh_token):
        url = f"{self.env['LAST9_API_URL']}/api/v4/oauth/access_token"
        return self.client.post(url, json={"refresh_token": refresh_token})


@contextmanager
def up(directory, *options):
    command = [sys.executable, "-m", "tfy_last9.standins", "up", "--dir", str(directory), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            running = Running(json.loads(process.stdout.readline()))
            yield running
            running.client.close()
        finally:
            process.terminate()


def test_with_tls_spans_and_faults_travel_over_https(tmp_path):
    with up(tmp_path, "--tls") as sandbox:
        assert sandbox.env["LAST9_API_URL"].startswith("https://127.0.0.1:")
        assert sandbox.env["LAST9_OTLP_ENDPOINT"].startswith("https://")
        with pytest.raises(httpx.ConnectError):
            httpx.get(sandbox.env["LAST9_API_URL"], trust_env=False)
        assert sandbox.ask().status_code == 200
        sandbox.wait_for(3)
        settings = from_environment(
            sandbox.env
        )  # as from its .env file: no process variable names the authority
        with Last9Client(settings, SystemClock()) as client:
            assert client.place().region == "ap-south-1"
        wanted = ["last9_429=0.5", "trace_loss=0.1", "provider_errors:openai=0.1"]
        assert sandbox.faults("TFY_GATEWAY_URL", *wanted) == wanted
        assert sandbox.faults("LAST9_API_URL") == ["last9_429=0.5"]
    assert not list((tmp_path / "tls").glob("*.key"))


def test_spans_and_tokens_outlive_a_restart_with_data_elsewhere(tmp_path):
    data = f"--data={tmp_path / 'data'}"
    with up(tmp_path / "first", data, "--fault=last9_page_cap=5") as sandbox:
        assert sandbox.faults("TFY_GATEWAY_URL") == ["last9_page_cap=5"]
        assert sandbox.faults("LAST9_API_URL") == ["last9_page_cap=5"]
        token = sandbox.env["LAST9_REFRESH_TOKEN"]
        for _ in range(3):
            sandbox.ask()
    with up(tmp_path / "second", data) as sandbox:
        assert sandbox.stored() == 9
        assert sandbox.exchange(token).status_code == 200

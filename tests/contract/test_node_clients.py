"""The vendors' official Node clients, unchanged, against the gateway; skipped without Node, except on CI."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from sdk_sandbox import start

pytestmark = [pytest.mark.contract, pytest.mark.xdist_group("vendor clients")]
FOLDER = Path(__file__).parents[1] / "node"
CITY = {"city": "blue sky"}


@pytest.fixture(scope="module")
def node():
    """The Node that can run the clients, or a skip that says what is missing."""
    program = shutil.which("node")
    if program is None or not (FOLDER / "node_modules" / ".package-lock.json").is_file():
        why = "no Node clients: `scripts/install-node-clients` installs them (Node 20 or newer)"
        if os.environ.get("CI") == "true":
            pytest.fail(why)
        pytest.skip(why)
    return program


@pytest.fixture(scope="module")
def seen(node, tmp_path_factory):
    running = start(tmp_path_factory.mktemp("node"), "--seed", "5")
    settings = {name: running.ready["env"][name] for name in ("TFY_GATEWAY_URL", "TFY_API_KEY")}
    try:
        done = subprocess.run(
            [node, "clients.mjs"],
            cwd=FOLDER,
            env=os.environ | settings,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
    finally:
        running.stop()
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_openai(seen):
    assert seen["openaiStream"] == {"tokens": 5, "counted": 5, "priced": True}
    assert seen["openaiTool"] == CITY
    assert seen["openaiResponses"] == {"status": "completed", "answered": True}
    assert seen["openaiEmbedding"] == 1536
    refused = {"name": "PermissionDeniedError", "status": 403, "type": "AuthorizationError"}
    assert seen["openaiError"] == refused


def test_anthropic(seen):
    assert seen["anthropicStream"] == {
        "events": [
            "content_block_delta",
            "content_block_start",
            "content_block_stop",
            "message_delta",
            "message_start",
            "message_stop",
        ],
        "stop": "max_tokens",
        "tokens": 5,
    }
    assert seen["anthropicTool"] == CITY
    assert seen["anthropicError"] == {"name": "BadRequestError", "status": 400}


def test_gemini(seen):
    assert seen["geminiStream"] == {"tokens": 5, "reason": "MAX_TOKENS"}
    assert seen["geminiTool"] == CITY

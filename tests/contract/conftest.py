"""One sandbox that plays production for the tests that only ask it things, and one gate that ran there."""

from pathlib import Path

import pytest
import yaml
from gating import SLO
from gating import run as run_command
from locusts import end, start_world

TRAFFIC = """
name: traffic
seed: 3
targets:
  - {name: openai, model: openai-main/gpt-4o-mini, provider: openai, weight: 4, max_tokens: 20}
  - {name: whole, model: anthropic-main/claude-sonnet-4-6, provider: anthropic, weight: 3, max_tokens: 40, stream: false}
  - {name: virtual, model: sandbox/chat-default, may_reach: [openai], weight: 3, max_tokens: 20}
arrivals: {kind: steps, rate: 60/s, steps: [{at: 2s, rate: 160/s}]}
phases: [{name: warm-up, duration: 1s, judged: false}, {name: steady, duration: 3s}]
prompts:
  - Why is the sky blue?
  - Name three rivers in Europe and one fact about each of them, please, and be brief about it all.
limits: {users: 150, first_token: 8s, idle: 5s, total: 15s}
settle: {deadline: 7s, late_after: 4s, poll: 500ms}
"""


@pytest.fixture(scope="session")
def production(tmp_path_factory):
    folder = tmp_path_factory.mktemp("production")
    world = start_world(folder)
    world.folder = folder
    (folder / "traffic.yaml").write_text(TRAFFIC)
    (folder / "slo").mkdir()
    for name in ("client.yaml", "traces.yaml"):
        found = yaml.safe_load_all((SLO / name).read_text())
        kept = [one for one in found if one["metadata"]["name"] != "client-ttft-p95"]
        (folder / "slo" / name).write_text(yaml.safe_dump_all(kept))
    yield world
    end(world.process)


@pytest.fixture(scope="session")
def gate_there(production):
    """Run a gate on the traffic of production."""

    def run(*arguments, **more):
        folder: Path = production.folder
        return run_command(
            *("gate", "traffic.yaml", "--slo", "slo", "--out", folder / "runs", *arguments),
            cwd=folder,
            **(production.settings | more),
        )

    return run


@pytest.fixture(scope="session")
def first(gate_there):
    """A gate with everything on, and no baseline yet."""
    arguments = ("--baseline", "latest-pass", "--baselines", "kept", "--run-id", "first")
    return gate_there(*arguments, LAST9_OTLP_EXPORT="1")

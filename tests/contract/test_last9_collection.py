"""Collecting a stored run: by counts, again, with markers; and `doctor`. No secret and no prompt stays behind."""

import json
import re
import subprocess
import sys
from pathlib import Path

import gating
import pytest
import typer.main

from tfy_last9.cli.main import app

pytestmark = [pytest.mark.contract, pytest.mark.xdist_group("last9_collection")]

PROMPT = "Why is the sky blue?"


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A sandbox of its own, so that it outlives the run."""
    folder = tmp_path_factory.mktemp("world")
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "tfy_last9.standins",
            "up",
            "--dir",
            str(folder),
            "--stdin-lifeline",
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=gating.clean_environment(),
        text=True,
    )
    yield json.loads(process.stdout.readline())["env"]
    process.stdin.close()
    process.wait(timeout=20)
    process.stdout.close()


@pytest.fixture(scope="module")
def run_folder(world, tmp_path_factory):
    """One gate with change events on."""
    place = tmp_path_factory.mktemp("gate")
    ended = gating.run(
        *("gate", gating.SCENARIO, "--slo", gating.SLO, "--out", place / "runs"),
        cwd=place,
        LAST9_CHANGE_EVENTS="1",
        **world,
    )
    assert ended.returncode == 0, ended.stderr
    (folder,) = (path for path in (place / "runs").iterdir() if (path / "run.json").is_file())
    return folder, ended


def collected(folder, world, **settings):
    ended = gating.run("collect", folder, cwd=folder.parent, **{**world, **settings})
    evidence = json.loads((folder / "evidence.json").read_text())
    verdict = json.loads((folder / "verdict.json").read_text())
    return ended, evidence, verdict


def test_contents_are_deselected_and_the_cost_of_reading_is_told(run_folder):
    evidence = json.loads((run_folder[0] / "evidence.json").read_text())
    assert evidence["strategy"] == "rows"
    assert "not fetched" in evidence["contents"]
    assert evidence["bytes_fetched"] > 0
    assert evidence["warnings"] == []


def test_the_start_and_the_verdict_are_marked_where_that_was_asked_for(run_folder):
    """The sandbox's token may write; what it refuses would be a warning."""
    _, ended = run_folder
    assert "change event" not in ended.stderr
    assert "warning" not in ended.stderr


def test_collecting_again_changes_nothing_that_was_seen(run_folder, world):
    folder, _ = run_folder
    before = gating.query(f"SELECT * FROM '{folder}/spans.parquet' ORDER BY trace_id, span_id")
    ended, evidence, _ = collected(folder, world)
    after = gating.query(f"SELECT * FROM '{folder}/spans.parquet' ORDER BY trace_id, span_id")
    assert ended.returncode == 0
    assert "changed: nothing" in ended.stderr
    assert after == before
    assert len(evidence["collections"]) >= 2


def test_counts_and_a_sample_reach_the_same_verdict(run_folder, world):
    folder, _ = run_folder
    ended, evidence, verdict = collected(folder, world, LAST9_STRATEGY="counts")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert evidence["strategy"] == verdict["accounting"]["strategy"] == "counts"
    assert {count["objective"] for count in evidence["counts"]} == {
        "provider-latency-p95",
        "provider-errors",
    }
    ledger = gating.query(
        f"SELECT count(*) FROM '{folder}/requests.parquet' WHERE phase <> 'warm-up'"
    )[0][0]
    calls = sum(
        count["total"] for count in evidence["counts"] if count["objective"] == "provider-errors"
    )
    assert calls == ledger  # the warm-up ends within a second, and is told apart all the same
    ended, evidence, _ = collected(folder, world, LAST9_STRATEGY="rows")
    assert (ended.returncode, evidence["strategy"]) == (0, "rows")


def test_a_failed_collection_keeps_the_evidence_there_is(run_folder, world):
    folder, _ = run_folder
    before = (folder / "evidence.json").read_text()
    ended, _, verdict = collected(folder, world, LAST9_MAX_MB="1", LAST9_SELECT="off")
    assert "LAST9_MAX_MB" in ended.stderr
    assert "earlier evidence is kept" in ended.stderr
    assert (folder / "evidence.json").read_text() == before
    assert verdict["state"] == "PASS"


def test_doctor_follows_a_probe_and_names_the_switches(world, tmp_path):
    samples = tmp_path / "samples"
    ended = gating.run(
        *("doctor", "--scenario", gating.SCENARIO, "--record", samples), cwd=tmp_path, **world
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    lights = [line[:5].strip() for line in ended.stdout.splitlines() if line[:1] != " "]
    assert lights[:14] == ["ok"] * 14, ended.stdout
    known = json.loads((samples / "switches.json").read_text())
    assert known["select"] == "restrict"
    assert known["aggregate-shape"] == "metric"
    assert known["default-order"] == "newest"
    assert known["default-mode"] == "span"
    (command,) = re.findall(r"tfy-last9 (sandbox --last9-switch .*)", ended.stdout)
    assert "--last9-switch select=restrict" in command
    typer.main.get_command(app).commands["sandbox"].make_context("sandbox", command.split()[1:])
    secrets_in(samples, world)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"LAST9_OTLP_AUTH": "dGVzdDp0ZXN0"}, "Basic "),
        ({"LAST9_OTLP_ENDPOINT": "https://otlp.last9.io"}, "/v1/traces"),
        ({"TFY_API_KEY": "wrong-key-1234567890"}, "TFY_API_KEY"),
        ({"TFY_GATEWAY_URL": "{TFY_GATEWAY_URL}/no/such"}, "set TFY_GATEWAY_URL to"),
        ({"LAST9_SERVICE": "other"}, "set LAST9_SERVICE to tfy-llm-gateway"),
        ({"LAST9_REFRESH_TOKEN": ""}, "LAST9_REFRESH_TOKEN is not set"),
    ],
)
def test_doctor_says_what_is_wrong_and_how_to_mend_it(world, tmp_path, change, said):
    changed = {name: value.format(**world) for name, value in change.items()}
    environment = {**world, **changed}
    ended = gating.run("doctor", "--scenario", gating.SCENARIO, cwd=tmp_path, **environment)
    assert ended.returncode == 24
    assert "FAIL" in ended.stdout
    assert said in ended.stdout
    assert "fix:" in ended.stdout
    assert "wrong-key-1234567890" not in ended.stdout + ended.stderr


def secrets_in(place, world):
    """No key, no token and no prompt in any file below a folder."""
    wanted = [world["TFY_API_KEY"], world["LAST9_REFRESH_TOKEN"], world["LAST9_OTLP_AUTH"]]
    wanted += [PROMPT, "eyJ"]
    for path in Path(place).rglob("*"):
        if path.is_file():
            text = path.read_bytes()
            for secret in wanted:
                assert secret.encode() not in text, (path, secret[:12])


def test_nothing_secret_is_in_the_run_folder_or_on_the_screen(run_folder, world):
    folder, ended = run_folder
    for name in ("TFY_API_KEY", "LAST9_REFRESH_TOKEN", "LAST9_OTLP_AUTH"):
        assert world[name] not in ended.stdout + ended.stderr
    stored = gating.query(
        f"SELECT attributes::VARCHAR, resource::VARCHAR FROM '{folder}/spans.parquet'"
    )
    assert stored
    assert not any("tfy.input" in row[0] or PROMPT in row[0] for row in stored)
    for name in ("evidence.json", "verdict.json", "junit.xml"):
        text = (folder / name).read_text()
        assert world["LAST9_REFRESH_TOKEN"] not in text
        assert world["TFY_API_KEY"] not in text
        assert "eyJ" not in text

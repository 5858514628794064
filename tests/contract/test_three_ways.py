"""`gate`, `locust -f` headless, and `locust -f` in the browser: one answer, from fresh runs."""

import json

import gating
import httpx
import locusts
import pytest

pytestmark = [pytest.mark.contract, pytest.mark.xdist_group("production")]

FAULT = "provider_errors:openai=0.2"


@pytest.fixture(scope="module")
def answers(production, tmp_path_factory):
    """Run the same scenario, seed and faults in each way; return verdict and exit code by way."""
    folder = tmp_path_factory.mktemp("ways")
    scenario = locusts.scenario_file(folder, rate="110/s", duration="3s", users=150)
    production.set_faults()
    passed = gate(production, folder / "kept", folder, scenario)
    assert passed.returncode == 0, passed.stderr
    found = {}
    for way in (by_gate, headless, in_the_browser):
        production.set_faults(FAULT)  # counts from the beginning
        found[way.__name__] = way(production, folder, scenario)
    production.set_faults()
    return found


def by_gate(production, folder, scenario):
    out = folder / "gate"
    (kept,) = (folder / "kept").iterdir()
    ended = gate(production, out, folder, scenario, "--baseline", kept)
    return ended.returncode, the_verdict(out)


def gate(production, out, folder, scenario, *arguments):
    asked = ("gate", scenario, "--slo", gating.SLO, "--out", out, *arguments)
    return gating.run(*asked, cwd=folder, **production.settings)


def headless(production, folder, scenario):
    run = locusts.start_locust(
        *(folder / "headless", production.settings, "--headless", "--baseline", "latest-pass"),
        scenario=scenario,
        TFY_BASELINES=str(folder / "kept"),
    )
    return run.wait(), the_verdict(run.folder_of_runs)


def in_the_browser(production, folder, scenario):
    port = locusts.free_port()
    run = locusts.start_locust(
        *(folder / "browser", production.settings, "--web-port", str(port)),
        scenario=scenario,
        TFY_BASELINES=str(folder / "kept"),
    )
    with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
        gating.wait_for(lambda: is_up(client), what="the web UI")
        own = {"Origin": str(client.base_url).rstrip("/")}
        form = {"user_count": "150", "spawn_rate": "150", "baseline": "latest-pass"}
        elsewhere = client.post("/swarm", data=form | {"baseline": "/etc"}, headers=own).json()
        assert "not one of those offered" in elsewhere["message"]
        assert client.post("/swarm", data=form, headers=own).json()["success"]
        folders = run.folder_of_runs
        gating.wait_for(lambda: list(folders.glob("*/verdict.json")), 60, what="the verdict")
        run.signal(locusts.signal.SIGTERM)
        return run.wait(), the_verdict(folders)


def is_up(client):
    try:
        return client.get("/").is_success
    except httpx.TransportError:
        return False


def the_verdict(runs):
    (path,) = runs.glob("*/verdict.json")
    return json.loads(path.read_text())


def told(verdict):
    return {
        (one["objective"], one["group"].get("provider")): (one["state"], one["total"])
        for one in verdict["findings"]
        if one["book"] == "client-ledger"
    }


def test_all_three_end_with_the_same_exit_code_and_reason(answers):
    assert {code for code, _ in answers.values()} == {20}
    reasons = {verdict["reason_code"] for _, verdict in answers.values()}
    assert reasons == {"objective_failed"}


def test_every_objective_gets_the_same_answer(answers):
    states = [
        {
            (one["objective"], str(one["group"])): one["state"]
            for one in verdict["findings"]
            if one["objective"] != "baseline-ttft"  # two measured times: a busy machine moves them
        }
        for _, verdict in answers.values()
    ]
    assert states[0] == states[1] == states[2]


def test_all_three_compare_with_the_run_that_passed(answers):
    for _, verdict in answers.values():
        compared = [one for one in verdict["findings"] if one["objective"] == "baseline-errors"]
        states = {one["group"]["provider"]: one["state"] for one in compared}
        assert states["openai"] == "FAIL"


def test_all_three_judge_the_same_requests(answers):
    counted = [told(verdict) for _, verdict in answers.values()]
    errors = [
        {key: n for key, (_, n) in one.items() if key[0] == "client-errors"} for one in counted
    ]
    assert errors[0] == errors[1] == errors[2]

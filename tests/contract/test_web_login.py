"""The web UI under `--web-base-path` and behind `--web-login`: nothing of ours is read without a login."""

import gating
import httpx
import locusts
import pytest

pytestmark = [pytest.mark.contract, pytest.mark.xdist_group("production")]

BASE = "/load/test"
PASSWORD = "not-a-secret"
OURS = (
    *("/tfy", "/tfy/state", "/tfy/runs/any/report.html"),
    *(f"/tfy/assets/{name}" for name in ("live.js", "charts.js", "live.css", "report.css")),
)
FORM = {"user_count": "60", "spawn_rate": "100"}


@pytest.fixture(scope="module")
def site(production, tmp_path_factory):
    """Start Locust behind a login and a base path; return its run and its address."""
    production.set_faults()
    folder = tmp_path_factory.mktemp("login")
    scenario = locusts.scenario_file(folder, rate="30/s", users=60, duration="2s")
    port = locusts.free_port()
    run = locusts.start_locust(
        *(folder, production.settings, "--web-port", str(port), "--web-login"),
        *("--web-base-path", BASE),
        scenario=scenario,
        locustfile=gating.ROOT / "tests" / "data" / "locustfiles" / "login.py",
        UI_PASSWORD=PASSWORD,
    )
    address = f"http://127.0.0.1:{port}"
    gating.wait_for(lambda: answers(f"{address}{BASE}/login"), what="the web UI")
    yield run, address
    run.kill_all()


def answers(url):
    try:
        return httpx.get(url).is_success
    except httpx.TransportError:
        return False


@pytest.fixture
def stranger(site):
    with httpx.Client(base_url=site[1] + BASE, headers={"Origin": site[1]}) as client:
        yield client


@pytest.fixture(scope="module")
def person(site):
    with httpx.Client(base_url=site[1] + BASE, headers={"Origin": site[1]}) as client:
        entered = client.post("/login_submit", data={"password": PASSWORD})
        assert entered.headers["location"] == f"{BASE}/"
        yield client


def is_sent_to_the_login(answer):
    return answer.status_code == 302 and answer.headers["location"].startswith(f"{BASE}/login?")


@pytest.mark.parametrize("path", OURS)
def test_a_page_of_ours_sends_strangers_to_the_login(stranger, path):
    assert is_sent_to_the_login(stranger.get(path))


def test_a_stranger_starts_nothing_and_learns_no_file_name(stranger, site):
    answer = stranger.post("/swarm", data=FORM | {"scenario": "no-such"})
    assert is_sent_to_the_login(answer)
    assert "stream.yaml" not in answer.text
    assert is_sent_to_the_login(stranger.post("/swarm", data=FORM))
    assert not list(site[0].folder_of_runs.glob("*"))


def test_a_login_does_not_lift_the_other_rules(person):
    assert person.get("/tfy/state", headers={"Origin": "http://evil.example"}).status_code == 403
    assert person.post("/swarm", data=FORM | {"host": "http://evil.example"}).status_code == 403


def test_who_is_logged_in_runs_and_reads_everything_under_the_base_path(person, stranger, site):
    page = person.get("/")
    assert f"{BASE}/tfy" in page.text, "the link on Locust's page"
    assert person.post("/swarm", data=FORM).json()["success"]
    gating.wait_for(lambda: person.get("/stats/requests").json().get("extended_stats"), what="SLO")
    seen = stranger.get("/stats/requests")
    assert is_sent_to_the_login(seen)
    assert "openai" not in seen.text
    state = gating.wait_for(lambda: judged(person), 60, what="the verdict")
    for path in (*OURS[:2], *OURS[3:], f"/{state['run']['report']}"):
        assert person.get(path).status_code == 200, path
    assert is_sent_to_the_login(stranger.get(f"/{state['run']['report']}"))
    assert person.get(site[1] + "/tfy").status_code == 404, "nothing beside the base path"


def judged(client):
    state = client.get("/tfy/state").json()
    return state if state["stage"] == "judged" else None

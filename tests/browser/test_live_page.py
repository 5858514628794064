"""Locust's own UI and the live page, as a performance engineer meets them: a run from Start to report.

One Locust with the web UI, in front of a sandbox with a fault; the tests follow the run in their order.
"""

import json
import re
import shutil
import signal

import gating
import httpx
import locusts
import pytest
from axe_playwright_python.sync_playwright import Axe

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("live_page")]

DESKTOP = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}
SEEN = {"serious", "critical"}
PATIENCE_MS = 60_000


@pytest.fixture(scope="module")
def ui(tmp_path_factory, chromium):
    """Start a sandbox, and Locust with its web UI where a scenario and an SLO set can be chosen."""
    assert chromium  # skipped without one, before anything is started
    world = locusts.start_world(tmp_path_factory.mktemp("world"))
    world.set_faults("provider_errors:gemini=0.5")
    folder = tmp_path_factory.mktemp("ui")
    (folder / "scenarios").mkdir()
    first = locusts.scenario_file(folder / "scenarios", rate="60/s", duration="5s", users=120)
    first.rename(first.with_name("chat.yaml"))
    shutil.copy(first.with_name("chat.yaml"), folder / "scenarios" / "other.yaml")
    (folder / "scenarios" / "broken.yaml").write_text("name: broken\ntargetz: []\n")
    shutil.copytree(gating.SLO, folder / "slo")
    port = locusts.free_port()
    places = {"TFY_SLO": "slo", "TFY_OUT": "runs"}
    run = locusts.start_locust(
        *(folder, world.settings, "--web-port", str(port), "--processes", "2"),
        scenario="scenarios/chat.yaml",
        **places,
    )
    with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
        gating.wait_for(lambda: is_up(client), what="the web UI")
        yield client, run
    run.kill_all()
    locusts.end(world.process)


def is_up(client):
    try:
        return client.get("/").is_success
    except httpx.TransportError:
        return False


@pytest.fixture
def visit(chromium, ui):
    """Open a page; at the end assert that it stayed silent and asked nobody but its own server."""
    base = str(ui[0].base_url).rstrip("/")
    contexts, complaints, requests = [], [], []

    def opened(path, viewport=DESKTOP, scheme="light"):
        context = chromium.new_context(
            viewport=viewport, color_scheme=scheme, reduced_motion="reduce"
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(base + path)
        return page

    yield opened
    for context in contexts:
        context.close()
    if ui[1].process.poll() is not None:  # the browser itself says so when nobody answers any more
        complaints = [text for text in complaints if "net::ERR_" not in text]
    assert complaints == []
    assert [url for url in requests if not url.startswith((base, "data:"))] == []


def violations(page, context=None):
    found = Axe().run(page, context=context).response["violations"]
    return [(one["id"], one["nodes"][0]["html"][:200]) for one in found if one["impact"] in SEEN]


def violations_of_ours(page):
    """Check the tables of our tabs; everything around them (header, tabs, buttons) is Locust's own."""
    assert page.locator("table").count() == 1
    return violations(page, {"include": [["table"]]})


def is_dark(page):
    return page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0] < 128")


def state(client):
    return client.get("/tfy/state").json()


def stage_is(*names):
    shown = " || ".join(f"document.title.includes('{name}')" for name in names)
    return f"() => {shown}"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_before_the_first_run_the_page_says_how_to_start_one(visit, scheme):
    page = visit("/tfy", scheme=scheme)
    page.wait_for_function(stage_is("No run yet"))
    assert "Start" in page.locator("#reason").inner_text()
    assert not page.locator("#numbers").is_visible()
    assert violations(page) == []
    page.locator("#start").click()
    page.get_by_text("Custom parameters").wait_for()


def test_a_broken_scenario_is_refused_in_the_form_with_its_place(visit, ui):
    client, run = ui
    page = visit("/")
    choose(page, "broken.yaml")
    page.get_by_role("button", name="Start").click()
    page.get_by_text(re.compile(r"broken\.yaml:2:.*unknown key")).wait_for()
    assert state(client)["stage"] == "ready"
    assert not list(run.folder_of_runs.glob("*"))


def choose(page, scenario):
    """Open the start form's own parameters and pick a scenario, by the name of its file."""
    page.get_by_text("Custom parameters").click()
    picker = page.locator('select[name="scenario"]')
    value = picker.locator("option").filter(has_text=scenario).first.get_attribute("value")
    picker.select_option(value)


def test_a_run_is_started_in_locusts_form_and_seen_on_both_pages(visit, ui, shots):
    client, _ = ui
    page = visit("/")
    choose(page, "other.yaml")
    page.screenshot(path=shots / "start-form.png", full_page=True)
    page.get_by_role("button", name="Start").click()
    page.get_by_role("tab", name="SLO").click()
    page.locator("td", has_text=re.compile("^gemini$")).wait_for()
    night = visit("/", scheme="dark")
    night.get_by_role("tab", name="SLO").click()
    live = visit("/tfy")
    live.wait_for_function(
        "() => document.querySelector('#providers-table tbody tr td:nth-child(2)')"
    )
    gating.wait_for(lambda: state(client)["providers"][0]["n"] > 40, what="judged requests")
    gating.wait_for(lambda: len(page.locator("tbody tr").all()) == 3, what="rows of the tab")
    page.wait_for_function(
        "() => [...document.querySelectorAll('tbody tr')].some((row) => /decided|needs/.test(row.innerText))"
    )
    page.screenshot(path=shots / "slo-tab.png", full_page=True)
    titles = page.locator("thead th").all_inner_texts()
    assert titles[:5] == ["Provider", "n", "TTFT p50 (ms)", "TTFT p95 (ms)", "TTFT p99 (ms)"]
    live.screenshot(path=shots / "live-loading.png", full_page=True)
    page.get_by_role("tab", name="Objectives").click()
    page.get_by_text("client-errors, gemini").wait_for()
    page.get_by_text("after the run, from Last9").first.wait_for()
    live.wait_for_function(stage_is("Waiting for traces", "FAIL"))
    live.screenshot(path=shots / "live-settling.png", full_page=True)
    night.locator("td", has_text=re.compile("^gemini$")).wait_for()
    assert (is_dark(page), is_dark(night)) == (False, True)
    assert violations_of_ours(page) == []
    assert violations_of_ours(night) == []
    for one in (page, night):
        one.get_by_role("tab", name="Objectives" if one is night else "SLO").click()
        one.locator("tbody tr").first.wait_for()
        assert violations_of_ours(one) == []


def test_the_page_stays_after_the_run_and_shows_what_the_verdict_says(visit, ui):
    client, run = ui
    page = visit("/tfy")
    page.wait_for_function(stage_is("FAIL"))
    (path,) = run.folder_of_runs.glob("*/verdict.json")
    verdict = json.loads(path.read_text())
    assert "gemini" in page.locator("#reason").inner_text()
    assert page.locator("#reason").inner_text() == verdict["reason"]
    shown = state(client)
    assert shown["verdict"]["exit_code"] == verdict["exit_code"] == 20
    final = {
        (one["objective"], " / ".join(one["group"].values())): (one["total"], one["bad"])
        for one in verdict["findings"]
    }
    live = {
        (one["objective"], one["group"]): (one["n"], one["bad"])
        for one in shown["objectives"]
        if one["standing"] != "later"
    }
    assert len(live) == 9
    assert live == {key: final[key] for key in live}, "what was shown is not what was judged"
    exact = {
        one["group"]["provider"]: round(one["quantile"]["value"], 3)
        for one in verdict["findings"]
        if one["objective"] == "client-ttft-p95"
    }
    assert {one["name"]: one["ttftb"] for one in shown["providers"]} == exact


def test_every_control_of_the_page_can_be_used(visit):
    page = visit("/tfy")
    page.wait_for_function(stage_is("FAIL"))
    for link in page.locator('nav a[href^="#"]').all():
        link.click()
    before = page.locator("#chart-ttft figcaption p").inner_text()
    for name in ("p99", "p50"):
        page.get_by_label(name).check()
        assert page.locator("#chart-ttft figcaption p").inner_text().startswith(name)
    assert page.locator("#chart-ttft figcaption p").inner_text() != before
    background = "getComputedStyle(document.body).backgroundColor"
    page.locator("#theme").click()
    page.locator("#theme").click()
    assert "dark" in page.locator("#theme").get_attribute("aria-label")
    assert page.evaluate(background) == "rgb(13, 17, 23)"
    page.locator("#theme").click()
    page.locator("#chart-rates .plot").focus()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    assert re.match(r"1 s: +offered .+/s", page.locator("#chart-rates .readout").inner_text())
    page.locator("#chart-errors .plot").hover()
    assert "provider_error" in page.locator("#chart-errors .readout").inner_text()
    page.locator("#report").click()
    page.wait_for_url("**/report.html")
    assert "FAIL" in page.locator("h1").inner_text()
    page.go_back()
    page.wait_for_function(stage_is("FAIL"))
    page.locator("#runs-table a").first.click()
    page.wait_for_url("**/report.html")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("device", "viewport"), [("desktop", DESKTOP), ("phone", PHONE)])
def test_it_is_readable_on_desktop_and_phone_by_day_and_night(
    visit, shots, device, viewport, scheme
):
    page = visit("/tfy", viewport, scheme)
    page.wait_for_function(stage_is("FAIL"))
    page.locator("#chart-settling .plot svg").wait_for()
    page.screenshot(path=shots / f"live-{device}-{scheme}-first-screen.png")
    page.screenshot(path=shots / f"live-{device}-{scheme}.png", full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
    assert violations(page) == []


def test_another_run_can_be_started_and_both_stay_in_the_list(visit, ui):
    client, run = ui
    page = visit("/tfy")
    page.wait_for_function(stage_is("FAIL"))
    page.locator("#start").click()
    page.get_by_role("button", name="New").click()
    page.get_by_role("button", name="Start").click()
    own = {"Origin": str(client.base_url).rstrip("/")}
    page.goto(own["Origin"] + "/tfy")
    page.wait_for_function(stage_is("Sending load"))
    assert page.locator("#runs-table tbody tr").count() == 2
    assert client.post("/stop", headers=own, timeout=30).json()["success"]
    page.wait_for_function("() => document.querySelectorAll('#runs-table a').length === 2")
    assert state(client)["stage"] == "judged"
    assert len(list(run.folder_of_runs.glob("*/report.html"))) == 2
    run.signal(signal.SIGTERM)
    assert run.wait() != 0
    page.locator("#lost").wait_for()

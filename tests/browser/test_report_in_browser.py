"""`report.html` as people meet it: every control works, nothing is fetched, everyone can read it."""

import csv
import io

import pytest
from axe_playwright_python.sync_playwright import Axe
from sample_run import HOSTILE, sample_run

from tfy_last9.adapters.files.openslo import load_objectives
from tfy_last9.cli.judging import decide
from tfy_last9.cli.page import report_page

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

DESKTOP = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}
SEEN = {"serious", "critical"}


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    providers = ("anthropic", HOSTILE, "openai")
    folder = sample_run(tmp_path_factory.mktemp("runs"), providers=providers, message=HOSTILE)
    verdict = decide(folder, load_objectives(folder.slo_path))
    path = folder.path / "report.html"
    path.write_text(report_page(folder, verdict, lambda _: "https://app.example.com/t"))
    return path


@pytest.fixture
def visit(chromium, report):
    """Open the report; at the end assert that it stayed silent and fetched nothing but itself."""
    contexts, complaints, requests = [], [], []

    def opened(viewport=DESKTOP, scheme="light", **more):
        context = chromium.new_context(
            viewport=viewport, color_scheme=scheme, reduced_motion="reduce", **more
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(10_000)
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: complaints.append(f"dialog {dialog.message}"))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(report.as_uri())
        return page

    yield opened
    for context in contexts:
        context.close()
    fetched = [url for url in requests if not url.startswith((report.as_uri(), "data:", "blob:"))]
    assert complaints == []
    assert fetched == []


def test_every_control_can_be_used(visit):
    page = visit()
    for details in page.locator("summary").all():
        details.click()
        details.click()
    for link in page.locator('a[href^="#"]:not(.skip)').all():
        link.click()
    names = [one.get_attribute("data-csv") for one in page.locator("[data-csv]").all()]
    assert len(names) > 10
    for place, name in enumerate(names):
        if place % 8 == 0:  # Chromium drops the eleventh download in a row
            page = visit()
        with page.expect_download() as waiting:
            page.locator(f'[data-csv="{name}"]').click()
        assert waiting.value.suggested_filename == f"{name}.csv"
        rows = list(csv.reader(io.StringIO(waiting.value.path().read_text(encoding="utf-8"))))
        assert len(rows) > 1
        assert {len(row) for row in rows} == {len(rows[0])}


def test_numbers_unfold_into_a_table(visit):
    page = visit()
    page.locator('[data-table="rates"] summary').click()
    head = page.locator('[data-table="rates"] thead th').all_inner_texts()
    assert head == [
        "from_s",
        "offered (requests/s)",
        "started (requests/s)",
        "finished (requests/s)",
    ]
    assert page.locator('[data-table="rates"] tbody tr').count() > 10


def test_colours_follow_the_system_until_the_button_says_otherwise(visit):
    page = visit(scheme="dark")
    background = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(background)
    page.locator("#theme").click()
    light = page.evaluate(background)
    assert light != dark
    page.locator("#theme").click()
    assert page.evaluate(background) == dark
    assert "dark" in page.locator("#theme").get_attribute("aria-label")


def test_arrow_keys_and_pointer_read_values(visit):
    page = visit()
    page.locator('[data-plot="rates"]').focus()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    readout = page.locator("#rates .readout")
    assert readout.inner_text().startswith("1 s")
    assert "offered (requests/s): 10 " in readout.inner_text()
    page.locator('[data-plot="heat-ttft"]').first.hover(position={"x": 200, "y": 30})
    assert "request" in page.locator("#heat-ttft .readout").inner_text()


def test_a_cell_that_begins_like_a_formula_is_defused(visit):
    page = visit()
    text = page.evaluate("""async () => {
        const made = []; const real = URL.createObjectURL;
        URL.createObjectURL = (blob) => { made.push(blob); return real(blob); };
        const data = JSON.parse(document.getElementById("data").textContent);
        document.querySelector('[data-csv="dist-total"]').click();
        return made[0].text(); }""")
    assert "alert(1)" in text
    assert not any(line.startswith(("=", "+", "@")) for line in text.splitlines())


def test_a_link_into_a_folded_objective_opens_it(visit):
    page = visit()
    target = page.locator("details.objective").first
    name = target.get_attribute("id")
    target.locator("summary").click()
    assert target.get_attribute("open") is None
    page.locator(f'a[href="#{name}"]').click()
    page.wait_for_function(f"document.getElementById('{name}').open")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("device", "viewport"), [("desktop", DESKTOP), ("phone", PHONE)])
def test_it_is_readable_on_desktop_and_phone_by_day_and_night(
    visit, shots, device, viewport, scheme
):
    """No rule of axe is broken seriously, nothing makes the page itself scroll sideways."""
    page = visit(viewport, scheme)
    page.screenshot(path=shots / f"report-{device}-{scheme}.png", full_page=True)
    assert (shots / f"report-{device}-{scheme}.png").stat().st_size > 50_000
    assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
    found = Axe().run(page).response["violations"]
    assert [
        (one["id"], one["nodes"][0]["html"][:200]) for one in found if one["impact"] in SEEN
    ] == []


def test_it_is_complete_without_script(visit):
    page = visit(java_script_enabled=False)
    assert page.locator("h1").inner_text().strip()
    assert page.locator("figure svg").count() > 10


def test_paper_shows_no_buttons(visit):
    page = visit()
    page.emulate_media(media="print")
    assert not page.locator("header").is_visible()
    assert not page.locator("[data-csv]").first.is_visible()

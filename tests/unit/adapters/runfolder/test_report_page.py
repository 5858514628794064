"""`report.html` as a whole: safe against what providers say, the same bytes again, complete offline."""

import base64
import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from runfolder_builders import sealed_folder
from sample_run import HOSTILE, PROVIDERS, sample_run

from tfy_last9.adapters.files.openslo import load_objectives
from tfy_last9.cli.judging import decide
from tfy_last9.cli.page import report_page
from tfy_last9.model.pictures import NO_PICTURES, Heat
from tfy_last9.reports.html.page import render

VOID = {"meta", "link", "br", "img", "input", "hr"}


def page_of(folder, links=lambda _: ""):
    return report_page(folder, decide(folder, load_objectives(folder.slo_path)), links)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return sample_run(tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def page(folder):
    return page_of(folder)


class Outline(HTMLParser):
    """Collects elements, and checks that each is closed in order."""

    def __init__(self):
        super().__init__()
        self.open, self.seen, self.attributes = [], [], []

    def handle_starttag(self, tag, attrs):
        self.seen.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.seen.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, (tag, self.getpos())


def outline(page):
    parser = Outline()
    parser.feed(page)
    parser.close()
    assert parser.open == []
    return parser


def data_of(page):
    return json.loads(re.search(r'id="data">(.*?)</script>', page, re.DOTALL)[1])


def test_the_same_folder_gives_the_same_bytes(folder, page):
    assert page_of(folder) == page


def test_elements_are_nested_and_identifiers_unique(page):
    found = outline(page)
    ids = [value for _, name, value in found.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    targets = {value[1:] for tag, name, value in found.attributes if tag == "a" and name == "href"}
    assert targets <= set(ids)


def test_only_own_style_and_script_may_run_and_nothing_may_be_fetched(page):
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1]
    for kind in ("style", "script"):
        text = re.search(rf"<{kind}>(.*?)</{kind}>", page, re.DOTALL)[1]
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    attributes = outline(page).attributes
    assert not [name for _, name, _ in attributes if name.startswith("on") or name == "style"]
    assert not [value for _, name, value in attributes if name == "src"]
    hrefs = [value for _, name, value in attributes if name == "href"]
    assert all(value.startswith(("#", "data:image/svg+xml,")) for value in hrefs)


def test_hostile_names_and_messages_stay_text(tmp_path):
    providers = (HOSTILE, "gemini", "openai")
    page = page_of(sample_run(tmp_path, requests=60, providers=providers, message=HOSTILE))
    clean = outline(page_of(sample_run(tmp_path / "clean", requests=60)))
    hostile = outline(page)
    assert hostile.seen.count("script") == clean.seen.count("script") == 2
    assert "img" not in hostile.seen
    assert "onerror=alert(1)" in page  # shown, escaped
    assert any(HOSTILE in row for row in data_of(page)["dist-total"]["rows"])


def test_control_characters_cannot_reorder_the_text(tmp_path):
    page = page_of(sample_run(tmp_path, requests=30, message="a\u202eb\x1b[31m"))
    assert "\u202e" not in page.replace("\\u202e", "")
    assert "\x1b" not in page


def test_links_lead_to_last9_only_over_https(folder):
    page = page_of(folder, lambda found: f"https://app.last9.io/t?trace={found.trace_id}")
    assert "Open trace" in page
    assert 'href="https://app.last9.io/t?trace=0' in page
    assert (
        "href="
        not in page_of(folder, lambda _: "javascript:alert(1)")
        .split("Worst requests</h2>")[1]
        .split("</section>")[0]
    )


def test_verdict_and_reason_come_first(page):
    text = re.sub(r"<[^>]+>", " ", page.split("<main")[1])
    assert text.index("FAIL") < text.index("Do next") < text.index("Objectives")


def test_every_picture_offers_its_numbers(page):
    data = data_of(page)
    shown = set(re.findall(r'data-csv="([^"]*)"', page))
    assert shown == set(data)
    for name in ("rates", "in-flight", "errors", "tokens", "cost", "flows", "cpu", "hub-lag"):
        assert data[name]["rows"], name
    for table in data.values():
        assert {len(row) for row in table["rows"]} == {len(table["columns"])}


def test_every_picture_has_a_text_alternative(page):
    pictures = re.findall(r"<svg[^>]*>", page)
    assert pictures
    assert all('role="img" aria-label="' in one or 'aria-hidden="true"' in one for one in pictures)


def test_flows_add_up_to_the_intended_requests(page):
    assert sum(row[2] for row in data_of(page)["flows"]["rows"]) == 300


def test_no_prompt_is_in_the_page(page):
    """The prompt of the sample scenario is `hello`."""
    assert "hello" not in page


def test_empty_pictures_say_why(tmp_path):
    folder = sealed_folder(tmp_path, [])
    verdict = decide(folder, ())
    page = render(verdict, NO_PICTURES, folder.read_manifest(), None, lambda _: "")
    outline(page)
    for reason in (
        "No request was planned",
        "No health sample",
        "No span carries a cost",
        "No lag is known",
    ):
        assert reason in page
    assert "NaN" not in page


def test_a_run_of_100_000_requests_stays_below_two_megabytes(folder):
    """Size grows with columns, bins and providers only; here all of them are at their largest."""
    verdict = decide(folder, load_objectives(folder.slo_path))
    cells = tuple((column, bin_, 99) for column in range(120) for bin_ in range(15, 45))
    heats = tuple(
        Heat(measure, name, 100_000, cells) for measure in ("ttft", "total") for name in PROVIDERS
    )
    crowded = replace(NO_PICTURES, columns=120, heats=heats)
    page = render(verdict, crowded, folder.read_manifest(), None, lambda _: "")
    assert len(page.encode()) < 2_000_000

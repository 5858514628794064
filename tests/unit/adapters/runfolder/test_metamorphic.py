"""What must not matter does not: the unit of time, the order of spans, the size of pages, a page told twice."""

import random
import shutil
from dataclasses import replace

import pytest
from runfolder_builders import (
    EPOCH_NS,
    MS,
    build_manifest,
    build_page,
    build_record,
    build_row,
    build_scenario,
    build_span,
    build_target,
    collect,
    new_folder,
    write_work,
)
from sample_run import PROVIDERS, SLO

from tfy_last9.adapters.files.openslo import load_objectives
from tfy_last9.adapters.runfolder.seal import seal
from tfy_last9.cli.judging import decide
from tfy_last9.model.objective import Threshold
from tfy_last9.model.trace import Role, SpanStatus
from tfy_last9.reports import verdict_json

N = 360
TTFT = "tfy.model.metric.time_to_first_token_in_ms"
OBJECTIVES = load_objectives(SLO)


def row(seq, unit_ns):
    """A request whose times are whole numbers of `unit_ns`; anthropic is slow, gemini fails now and then."""
    provider = PROVIDERS[seq % len(PROVIDERS)]
    due, base = 100 * seq, 1400 if provider == "anthropic" else 240
    ttft = base + seq * 37 % 200
    steps = {
        "due": due,
        "started": due + 1,
        "first_byte": due + ttft - 5,
        "first_token": due + ttft,
    }
    steps |= {
        "first_answer": due + ttft,
        "last_token": due + ttft + 250,
        "finished": due + ttft + 260,
    }
    times = {f"{name}_ns": step * unit_ns for name, step in steps.items()}
    made = {
        "target": provider,
        "provider": provider,
        "model": f"{provider}-main/m",
        "max_gap_ns": 9 * unit_ns,
    }
    if provider == "gemini" and seq % 27 == 1:
        made |= {"outcome": "provider_error", "status": 503, "first_token_ns": None}
    return build_row(seq, **(times | made))  # fmt: skip


def spans_of(request, unit_ns):
    """Return its trace; one in sixty is lost."""
    seq = request["seq"]
    if seq % 60 == 59:
        return []
    status = SpanStatus.OK if request["outcome"] == "ok" else SpanStatus.ERROR
    made = []
    for role in (Role.ROOT, Role.MODEL):
        span = build_span(seq, role, status=status)
        shared = {
            "start_ns": EPOCH_NS + request["started_ns"] + 5 * unit_ns,
            "duration_ns": request["finished_ns"] - request["started_ns"] - 8 * unit_ns,
        }
        if role is Role.MODEL:
            attributes = span.attributes | {TTFT: 200.0 * unit_ns / MS}
            shared |= {"provider": request["provider"], "attributes": attributes}
        made.append(replace(span, **shared))
    return made


def judged(place, unit_ns=MS, order=None, page_size=None, told_twice=0):
    targets = tuple(build_target(name) for name in PROVIDERS)
    scenario = build_scenario(targets=targets)
    folder = new_folder(place, build_manifest(scenario=scenario))
    shutil.copytree(SLO, folder.slo_path, dirs_exist_ok=True)
    rows = [row(seq, unit_ns) for seq in range(N)]
    write_work(folder, rows)
    seal(folder)
    spans = [span for request in rows for span in spans_of(request, unit_ns)]
    if order is not None:
        order.shuffle(spans)
    size = page_size or len(spans)
    end_s = N / 10 * unit_ns / MS + 5
    pages = [build_page(spans[at : at + size], asked_s=end_s) for at in range(0, len(spans), size)]
    collect(folder, *pages, *pages[:told_twice])
    folder.write_evidence(build_record())
    objectives = tuple(_scaled(one, unit_ns / MS) for one in OBJECTIVES)
    return decide(folder, objectives)


def _scaled(objective, factor):
    indicator = objective.indicator
    if isinstance(indicator, Threshold):
        indicator = replace(indicator, limit=indicator.limit * factor)
    return replace(objective, indicator=indicator)


def answers(verdict):
    return verdict.state, [
        (one.objective, one.group, one.state, one.total, one.bad, one.excluded, one.bad_low,
         one.bad_high, one.design_effect, one.p_fail_adjusted, one.requests_needed)
        for one in verdict.findings
    ]  # fmt: skip


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    verdict = judged(tmp_path_factory.mktemp("plain"))
    assert {one.state for one in verdict.findings} > {"PASS"}, "a verdict worth comparing"
    return verdict


@pytest.mark.parametrize("unit_ns", [MS // 1000, MS * 1000])
def test_a_thousandth_of_all_latencies_and_limits_changes_no_verdict(plain, tmp_path, unit_ns):
    assert answers(judged(tmp_path, unit_ns)) == answers(plain)


@pytest.mark.parametrize("seed", range(2))
def test_shuffled_spans_give_the_same_bytes(plain, tmp_path, seed):
    shuffled = judged(tmp_path, order=random.Random(seed))
    assert verdict_json.render(shuffled) == verdict_json.render(plain)


@pytest.mark.parametrize("page_size", [7, 100])
def test_another_page_size_gives_the_same_bytes(plain, tmp_path, page_size):
    paged = judged(tmp_path, page_size=page_size)
    assert verdict_json.render(paged) == verdict_json.render(plain)


def test_a_page_that_is_told_twice_gives_the_same_bytes(plain, tmp_path):
    twice = judged(tmp_path, page_size=100, told_twice=2)
    assert verdict_json.render(twice) == verdict_json.render(plain)

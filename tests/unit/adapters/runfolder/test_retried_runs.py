"""A CI retry of an undecided run: a planned look, on the events of both, and never a way around an answer."""

from dataclasses import replace
from pathlib import Path

import pytest
from runfolder_builders import build_manifest, build_row, build_scenario, build_target, write_work

from tfy_last9.adapters.files.digests import comparability_hash, slo_digest
from tfy_last9.adapters.files.openslo import load_objectives, slo_files
from tfy_last9.adapters.runfolder.folder import RunFolder
from tfy_last9.adapters.runfolder.seal import seal
from tfy_last9.cli.console import Console
from tfy_last9.cli.judging import conclude, decide
from tfy_last9.cli.retrying import Place, earlier_looks
from tfy_last9.errors import ConfigurationError
from tfy_last9.model.scenario import OnInconclusive, Policy
from tfy_last9.reports import verdict_json

HERE = Place(sandbox=False, client_only=True, gateway_url="http://gateway")
N = 300
SLO = """\
apiVersion: openslo/v1
kind: SLO
metadata: {name: errors}
spec:
  service: ai-gateway
  indicator:
    metadata: {name: errors}
    spec:
      ratioMetric:
        counter: false
        good: {metricSource: {type: client-ledger, spec: {outcome: ok}}}
        total: {metricSource: {type: client-ledger, spec: {count: started, groupBy: [provider]}}}
  timeWindow: [{duration: 1h, isRolling: true}]
  budgetingMethod: Occurrences
  objectives: [{target: 0.95}]
"""


@pytest.fixture
def place(tmp_path):
    (tmp_path / "slo").mkdir()
    (tmp_path / "slo" / "errors.yaml").write_text(SLO)
    (tmp_path / "runs").mkdir()
    return tmp_path


def scenario(retries=1, **more):
    policy = Policy(OnInconclusive.FAIL, retries=retries)
    return build_scenario(targets=(build_target(),), policy=policy, **more)


def look(place, name, bad, *, planned=None, retry=None):
    """Judge a run of which so many requests, spread evenly, were in error."""
    wanted, slo = planned or scenario(), place / "slo"
    manifest = build_manifest(
        run_id=name,
        scenario=wanted,
        sandbox=False,
        client_only=True,
        gateway_url="http://gateway",
        digests={"comparability": comparability_hash(wanted), "slo": slo_digest(slo)},
        retry=retry,
    )
    folder = RunFolder.create(place / "runs", manifest, slo, slo_files(slo))
    failed = {"outcome": "provider_error", "status": 503}
    step = N // bad if bad else N + 1
    write_work(
        folder,
        [
            build_row(
                seq, run_id=name, request_id=f"{name}.{seq}",
                **(failed if seq % step == 0 and seq // step < bad else {}),
            )
            for seq in range(N)
        ],
    )  # fmt: skip
    seal(folder)
    conclude(folder, load_objectives(folder.slo_path), Console(quiet=True))
    return folder


def again(place, of, planned=None, where=HERE):
    named = of if isinstance(of, Path) else Path(of)
    wanted = planned or scenario()
    return earlier_looks(named, place / "runs", wanted, place / "slo", where, Console(quiet=True))


def state(folder):
    return decide(folder, load_objectives(folder.slo_path)).state


def test_a_retry_is_judged_on_the_events_of_both_at_half_the_error(place):
    first = look(place, "first", bad=9)
    assert state(first) == "INCONCLUSIVE"
    second = look(place, "second", bad=9, retry=again(place, first.path))
    verdict = decide(second, load_objectives(second.slo_path))
    (finding,) = verdict.findings
    assert (finding.total, finding.bad) == (2 * N, 18)
    assert finding.confidence == pytest.approx(0.975)
    assert "300 of them in earlier looks" in finding.message
    assert verdict.state == "PASS"


def test_both_results_are_shown_and_stored(place):
    first = look(place, "first", bad=9)
    second = look(place, "second", bad=9, retry=again(place, first.path))
    verdict = verdict_json.parse(second.verdict_path.read_text())
    (earlier,) = verdict.earlier_looks
    assert (earlier.run_id, earlier.state) == ("first", "INCONCLUSIVE")
    assert any("look 1 of 2 was run first" in text for text in verdict.validity.warnings)
    before = second.verdict_path.read_bytes()
    conclude(second, load_objectives(second.slo_path), Console(quiet=True))
    assert second.verdict_path.read_bytes() == before


def test_an_unlucky_first_look_is_not_forgotten(place):
    """Judged alone the second run would pass; with what the first one saw it does not."""
    first = look(place, "first", bad=20)
    assert state(first) == "INCONCLUSIVE"
    second = look(place, "second", bad=6, retry=again(place, first.path))
    assert state(second) == "INCONCLUSIVE"
    assert state(look(place, "alone", bad=6)) == "PASS"


@pytest.mark.parametrize(("bad", "ended"), [(0, "PASS"), (40, "FAIL")])
def test_what_is_decided_cannot_be_retried_away(place, bad, ended):
    first = look(place, "first", bad=bad)
    assert state(first) == ended
    for named in (first.path, "latest"):
        with pytest.raises(ConfigurationError, match=f"it ended {ended}"):
            again(place, named)


def test_a_retry_must_have_been_planned_before_the_first_run(place):
    first = look(place, "first", bad=9, planned=scenario(retries=0))
    with pytest.raises(ConfigurationError, match="plans no retries"):
        again(place, first.path, scenario(retries=0))
    with pytest.raises(ConfigurationError, match="other traffic or policy"):
        again(place, first.path, scenario(retries=1))


def test_no_more_looks_than_planned_and_no_run_is_retried_twice(place):
    first = look(place, "first", bad=20)
    second = look(place, "second", bad=6, retry=again(place, first.path))
    with pytest.raises(ConfigurationError, match="all 2 planned looks are used"):
        again(place, second.path)
    with pytest.raises(ConfigurationError, match="was retried before, by second"):
        again(place, first.path)


def test_another_system_is_not_looked_at_twice(place):
    first = look(place, "first", bad=9)
    elsewhere = replace(HERE, gateway_url="http://other")
    with pytest.raises(ConfigurationError, match="went to another place"):
        again(place, first.path, where=elsewhere)
    assert again(place, "latest", where=elsewhere) is None


def test_latest_is_the_first_look_where_there_was_none(place):
    assert again(place, "latest") is None
    look(place, "first", bad=9)
    assert again(place, "latest").runs[0].run_id == "first"


def test_an_undecided_run_says_how_to_look_again_while_a_look_is_left(place):
    first = look(place, "first", bad=20)
    steps = decide(first, load_objectives(first.slo_path)).next_steps
    assert any("--retry-of first" in step for step in steps)
    second = look(place, "second", bad=6, retry=again(place, first.path))
    steps = decide(second, load_objectives(second.slo_path)).next_steps
    assert not any("--retry-of" in step for step in steps)

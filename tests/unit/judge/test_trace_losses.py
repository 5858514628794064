"""Missing traces: sampling that nobody declared is named, sampling that is declared is allowed for."""

from dataclasses import replace

import pytest
from judge_builders import accounting, completeness, tally, verdict
from judge_builders import manifest as build_manifest

from tfy_last9.judge.losses import explained, is_steady, steady_loss
from tfy_last9.model.verdict import State

EVEN = ((100, 10), (100, 12), (100, 9), (100, 11), (100, 8), (100, 10), (100, 13), (100, 9))
BURST = ((100, 0), (100, 0), (100, 0), (100, 80), (100, 2), (100, 0), (100, 0), (100, 0))


def lossy(profile, **changes):
    expected, lost = (sum(part[n] for part in profile) for n in (0, 1))
    return accounting(
        expected_traces=expected,
        joined=expected - lost,
        lost=lost,
        complete=expected - lost,
        loss_profile=profile,
        **changes,
    )


def test_losses_at_a_constant_rate_are_told_from_one_outage():
    assert is_steady(EVEN)
    assert not is_steady(BURST)


@pytest.mark.parametrize(
    "profile",
    [(), ((100, 1), (100, 0), (100, 1), (100, 0)), ((50, 5), (50, 6), (50, 4)), ((10, 10),) * 8],
)
def test_few_losses_short_runs_and_total_losses_have_no_pattern(profile):
    assert not is_steady(profile)


def test_an_undeclared_constant_rate_is_reported_and_never_offered_to_be_declared_away():
    text = steady_loss(lossy(EVEN))
    assert "constant rate" in text
    assert "full queue" in text
    assert "sampling:" not in text
    assert "stay losses" in text


def test_declared_sampling_is_no_news():
    assert steady_loss(lossy(EVEN, sampling=0.9)) is None


def test_the_warning_is_part_of_the_verdict():
    found = verdict([completeness()], {"completeness": (tally(),)}, accounting=lossy(EVEN))
    assert any("constant rate" in text for text in found.validity.warnings)


def judged(missing, incomplete, total, share):
    one = tally(bad=missing + incomplete, total=total, unseen=missing)
    (found,) = explained([completeness()], {"completeness": (one,)}, share)["completeness"]
    return found


def test_declared_sampling_explains_the_traces_it_takes():
    found = judged(missing=905, incomplete=2, total=1000, share=0.1)
    assert (found.total, found.bad, found.excluded) == (95, 2, 905)


def test_more_missing_than_chance_allows_stays_bad():
    """Of 1000 traces 100 should be there; 40 are (chance below 1e-12)."""
    found = judged(missing=960, incomplete=0, total=1000, share=0.1)
    assert (found.total, found.bad, found.excluded) == (100, 60, 900)


def test_incomplete_traces_are_never_explained_by_sampling():
    found = judged(missing=0, incomplete=30, total=100, share=0.5)
    assert (found.total, found.bad) == (100, 30)


def test_without_a_declaration_every_missing_trace_counts():
    one = tally(bad=5, total=1000, unseen=5)
    assert explained([completeness()], {"completeness": (one,)}, None)["completeness"] == (one,)


def test_a_run_with_declared_sampling_passes_on_what_was_kept():
    manifest = build_manifest()
    manifest = replace(manifest, scenario=replace(manifest.scenario, sampling=0.1))
    one = tally(bad=900, total=1000, unseen=900)
    found = verdict(
        [completeness()],
        {"completeness": (one,)},
        manifest=manifest,
        accounting=lossy(((100, 90),) * 10, sampling=0.1),
    )
    assert found.findings[0].state is State.PASS

import re
from dataclasses import replace

import pytest
from report_samples import FINDING, GAPS, INVALID, PASSED, SILENT, VERDICT, matches_golden

from tfy_last9.reports.openmetrics import render

_LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[\\"n])*"'
SAMPLE = re.compile(rf"([a-z_:0-9]+)\{{({_LABEL}(?:,{_LABEL})*)\}} (-?[0-9.e+-]+)")


def samples(verdict, gaps=()):
    """Parse as a scraper would; a line that is neither comment nor sample fails the test."""
    found = {}
    for line in render(verdict, gaps).splitlines():
        if not line.startswith("# "):
            name, labels, value = SAMPLE.fullmatch(line).groups()
            assert (name, labels) not in found
            found[name, labels] = float(value)
    return found


def test_openmetrics_matches_its_golden_file():
    assert matches_golden("metrics.txt", render(VERDICT, GAPS))


@pytest.mark.parametrize("verdict", [VERDICT, PASSED, INVALID, replace(PASSED, findings=())])
def test_the_text_ends_with_eof_and_names_each_family_once(verdict):
    text = render(verdict)
    assert text.endswith("\n# EOF\n")
    assert samples(verdict)
    types = re.findall(r"^# TYPE (\S+) gauge$", text, re.MULTILINE)
    assert len(types) == len(set(types))
    seen = [line.split("{")[0] for line in text.splitlines() if not line.startswith("#")]
    assert [name for i, name in enumerate(seen) if name not in seen[:i]] == types


def test_observed_bound_budget_and_n_are_there_per_group():
    found = samples(PASSED)
    labels = 'scenario="smoke",objective="client-ttft-p95",provider="openai"'
    assert found["tfy_last9_bad_ratio", labels] == 0.003125
    assert found["tfy_last9_bad_ratio_bound", f'{labels},side="high"'] == 0.00806
    assert found["tfy_last9_budget_ratio", labels] == 0.05
    assert found["tfy_last9_events", labels] == 960
    assert found["tfy_last9_observed", f'{labels},quantile="0.95",unit="ms"'] == 812


def test_what_is_unknown_has_no_sample():
    silent = replace(SILENT, total=0, bad=0)
    names = {name for name, _ in samples(replace(PASSED, findings=(silent,)))}
    assert "tfy_last9_bad_ratio" not in names
    assert "tfy_last9_bad_ratio_bound" not in names
    assert "tfy_last9_events" in names


def test_gaps_between_tokens_are_in_seconds_and_per_target():
    found = samples(VERDICT, GAPS)
    labels = 'scenario="smoke",target="gpt",provider="openai"'
    assert found["tfy_last9_token_gaps", labels] == 1900
    assert found["tfy_last9_token_gap_seconds", f'{labels},quantile="0.99"'] == 0.0202
    assert found["tfy_last9_token_gap_seconds", f'{labels},quantile="1"'] == 2.15
    assert found["tfy_last9_token_streams", labels] == 100
    assert found["tfy_last9_stalled_streams", labels] == 2
    assert ("tfy_last9_token_gaps", 'scenario="smoke",target="claude",arm="canary"') in found


def test_no_label_names_the_run():
    """GitLab compares equal label sets between branches; a run id would make every one new."""
    assert VERDICT.run_id not in render(VERDICT)


def test_strange_label_names_and_values_stay_well_formed():
    group = (("team.name", 'a"b\\c\nd\x1b'), ("team_name", "x"), ("objective", "y"), ("1", "z"))
    found = samples(replace(PASSED, findings=(replace(FINDING, group=group),)))
    labels = next(labels for name, labels in found if name == "tfy_last9_events")
    assert labels.endswith(
        'team_name="a\\"b\\\\c\\nd?",team_name_="x",label_objective="y",label_1="z"'
    )

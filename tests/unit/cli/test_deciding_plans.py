"""What a gate refuses before it sends anything."""

from dataclasses import replace
from pathlib import Path

import pytest

from tfy_last9.adapters.files.openslo import load_objectives
from tfy_last9.adapters.files.scenario import load_scenario
from tfy_last9.cli.gate import check_out
from tfy_last9.cli.planning import check_decidable
from tfy_last9.errors import ConfigurationError, Undecidable
from tfy_last9.judge.decide import needs_last9

ROOT = Path(__file__).parents[3]
SCENARIO = load_scenario(ROOT / "scenarios" / "smoke.yaml")
OBJECTIVES = load_objectives(ROOT / "slo")


def test_a_run_that_could_not_fail_is_not_started():
    """It would end as ERROR anyway, after it spent the money."""
    lenient = tuple(replace(one, critical=False) for one in OBJECTIVES)
    with pytest.raises(Undecidable, match="could not fail"):
        check_decidable(SCENARIO, lenient, client_only=False)


def test_what_needs_last9_decides_nothing_without_it():
    on_traces = tuple(one for one in OBJECTIVES if needs_last9(one))
    check_decidable(SCENARIO, on_traces, client_only=False)
    with pytest.raises(Undecidable) as refused:
        check_decidable(SCENARIO, on_traces, client_only=True)
    assert "client-ledger" in refused.value.hint


@pytest.mark.parametrize("taken", [True, False])
def test_where_no_run_can_be_kept_nothing_is_sent(tmp_path, taken):
    file = tmp_path / "runs"
    file.write_text("")
    with pytest.raises(ConfigurationError, match="cannot be written"):
        check_out(file if taken else file / "below")


def test_the_folder_for_runs_is_made(tmp_path):
    check_out(tmp_path / "new" / "runs")
    assert list((tmp_path / "new" / "runs").iterdir()) == []

from pathlib import Path

import pytest
from gateway_settings import settings_with

from tfy_last9.standins.faults import RULES
from tfy_last9.standins.gateway.settings import _parser

PAGE = (Path(__file__).parents[4] / "docs" / "sandbox.md").read_text()
OF_THE_SUPERVISOR = {
    *("--help", "--port", "--journal", "--seed", "--fault", "--providers-port", "--last9-port"),
    *(
        "--gateway-config",
        "--last9-ca",
        "--otlp-endpoint",
        "--embed-providers",
        "--pace",
        "--record-sends",
    ),
}


def flags():
    found = {flag for action in _parser()._actions for flag in action.option_strings}
    return sorted(found - OF_THE_SUPERVISOR - {"-h"})


@pytest.mark.parametrize("flag", flags())
def test_every_switch_is_explained(flag):
    assert f"`{flag.removeprefix('--')}" in PAGE


@pytest.mark.parametrize("name", sorted(RULES))
def test_every_fault_is_explained(name):
    assert f"| `{name}` |" in PAGE


def test_a_wrong_state_is_answered_with_the_right_ones(capsys):
    with pytest.raises(SystemExit):
        settings_with("--target-shape=square")
    assert "expected one of flat, nested, saw square" in capsys.readouterr().err


def test_each_documented_state_is_taken():
    for action in _parser()._actions:
        row = next(
            (
                line
                for line in PAGE.splitlines()
                if f"`{action.option_strings[0][2:]}=" in line and "\\|" in line
            ),
            None,
        )
        if row is None:
            continue
        states = row.split("`")[1].partition("=")[2].split("\\|")
        for state in states:
            assert settings_with(f"{action.option_strings[0]}={state}")

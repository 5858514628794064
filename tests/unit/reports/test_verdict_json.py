import json
from dataclasses import fields, replace
from pathlib import Path

import jsonschema
import pytest
from report_samples import FINDING, INVALID, PASSED, VERDICT, matches_golden

from tfy_last9.errors import BrokenRun
from tfy_last9.model.verdict import (
    Accounting,
    Exemplar,
    Finding,
    Quantile,
    State,
    Validity,
    Verdict,
)
from tfy_last9.reports.verdict_json import parse, render

SCHEMA = json.loads(
    (Path(__file__).parents[3] / "tfy_last9/schemas/verdict.schema.json").read_text()
)
RECORDS = {
    "finding": Finding,
    "accounting": Accounting,
    "validity": Validity,
    "quantile": Quantile,
    "exemplar": Exemplar,
}


@pytest.mark.parametrize("verdict", [VERDICT, PASSED, INVALID])
def test_every_verdict_meets_the_published_schema(verdict):
    jsonschema.validate(json.loads(render(verdict)), SCHEMA)


def test_the_schema_names_every_field_there_is_and_no_other():
    names = {item.name for item in fields(Verdict)} | {"schema"}
    assert set(SCHEMA["properties"]) == set(SCHEMA["required"]) == names
    for key, record in RECORDS.items():
        part = SCHEMA["$defs"][key]
        assert set(part["properties"]) == set(part["required"]) == {f.name for f in fields(record)}


def test_the_schema_refuses_an_unknown_field():
    data = json.loads(render(VERDICT)) | {"clock": 1}
    with pytest.raises(jsonschema.ValidationError, match="clock"):
        jsonschema.validate(data, SCHEMA)


def test_verdict_json_matches_its_golden_file():
    assert matches_golden("verdict.json", render(VERDICT))


@pytest.mark.parametrize("verdict", [VERDICT, PASSED, INVALID])
def test_reading_and_writing_again_gives_the_same_bytes(verdict):
    assert render(parse(render(verdict))) == render(verdict)


def test_what_is_read_is_what_was_written_but_for_rounding():
    assert parse(render(PASSED)) == replace(
        PASSED, accounting=replace(PASSED.accounting, lag_p50_s=3.14159)
    )


def test_floats_have_six_significant_digits():
    """The last bit of a division must not change the bytes of a verdict."""
    assert json.loads(render(VERDICT))["findings"][1]["bad_low"] == 0.333333


def test_numbers_that_are_not_finite_are_absent_and_never_zero():
    broken = replace(FINDING, quantile=Quantile(0.95, float("nan"), float("-inf"), None, "ms"))
    text = render(replace(VERDICT, findings=(broken,)))
    assert json.loads(text)["findings"][0]["quantile"]["value"] is None
    jsonschema.validate(json.loads(text), SCHEMA)


def test_exit_codes_are_written_as_numbers():
    from tfy_last9.errors import ExitCode

    assert '"exit_code": 20,' in render(replace(VERDICT, exit_code=ExitCode.FAIL))


def test_a_group_keeps_the_order_of_its_labels():
    finding = parse(render(VERDICT)).findings[2]
    assert finding.group == (("provider", "azure-openai"), ("arm", "canary"))
    assert finding.state is State.INCONCLUSIVE


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("not json", "cannot be read"),
        ("[]", "cannot be read"),
        ('{"schema": 1}', "cannot be read"),
        ('{"schema": 2}', "has schema 2, this version reads 1"),
    ],
)
def test_a_verdict_that_cannot_be_read_is_a_broken_run(text, message):
    with pytest.raises(BrokenRun, match=message) as caught:
        parse(text)
    assert "tfy-last9 check" in caught.value.hint

from pathlib import Path

import pytest

from tfy_last9.adapters.files.openslo import load_objectives
from tfy_last9.errors import ExitCode, FileProblems
from tfy_last9.model.objective import (
    Book,
    Completeness,
    Condition,
    Operator,
    Population,
    Ratio,
    Threshold,
)
from tfy_last9.model.trace import Role

SLO_FOLDER = Path(__file__).parents[4] / "slo"

LATENCY = """\
apiVersion: openslo/v1
kind: SLO
metadata:
  name: latency
  annotations:
    tfy-last9/critical: "false"
    tfy-last9/confidence: "0.9"
spec:
  service: gateway
  indicator:
    metadata: {name: latency-sli}
    spec:
      thresholdMetric:
        metricSource:
          type: last9
          spec: {span: model, field: duration_ms, groupBy: [provider], where: {region: [eu, us]}}
  timeWindow: [{duration: 1h, isRolling: true}]
  budgetingMethod: Occurrences
  objectives: [{op: lte, value: 2000, target: 0.95}]
"""

ERRORS = """\
apiVersion: openslo/v1
kind: SLO
metadata: {name: errors}
spec:
  service: gateway
  indicatorRef: error-share
  timeWindow: [{duration: 1h, isRolling: true}]
  budgetingMethod: Occurrences
  objectives: [{targetPercent: 99}]
"""

ERROR_SHARE = """\
apiVersion: openslo/v1
kind: SLI
metadata: {name: error-share}
spec:
  ratioMetric:
    counter: false
    bad: {metricSource: {metricSourceRef: ledger, spec: {outcome: [timeout, provider_error]}}}
    total: {metricSource: {metricSourceRef: ledger, spec: {count: started}}}
"""

LEDGER = """\
apiVersion: openslo/v1
kind: DataSource
metadata: {name: ledger}
spec: {type: client-ledger, connectionDetails: {}}
"""


def folder(tmp_path, **files):
    for name, text in files.items():
        (tmp_path / f"{name}.yaml").write_text(text)
    return tmp_path


def faults(path):
    with pytest.raises(FileProblems) as caught:
        load_objectives(path)
    assert caught.value.exit_code == ExitCode.CONFIGURATION
    return caught.value.problems


def test_the_shipped_files_are_read():
    objectives = {objective.name: objective for objective in load_objectives(SLO_FOLDER)}
    assert list(objectives) == [
        *("client-ttft-p95", "client-total-p99", "client-errors"),
        *("trace-completeness", "provider-latency-p95", "provider-errors"),
    ]
    assert all(objective.critical for objective in objectives.values())
    assert all(objective.group_by == ("provider",) for objective in objectives.values())
    assert objectives["trace-completeness"].indicator == Completeness((Role.ROOT, Role.MODEL))
    assert objectives["provider-errors"].indicator == Ratio(
        Population(Book.LAST9, Role.MODEL), (Condition("status", ("error",)),)
    )
    assert objectives["client-ttft-p95"].path == "client.yaml"
    assert objectives["client-ttft-p95"].line == 5


def test_a_threshold_carries_its_population_limit_and_settings(tmp_path):
    (objective,) = load_objectives(folder(tmp_path, slo=LATENCY))
    population = Population(Book.LAST9, Role.MODEL, (Condition("region", ("eu", "us")),))
    assert objective.indicator == Threshold(population, "duration_ms", Operator.LTE, 2000.0)
    assert (objective.critical, objective.confidence, objective.target) == (False, 0.9, 0.95)


def test_references_are_resolved_over_all_files_of_the_folder(tmp_path):
    (objective,) = load_objectives(folder(tmp_path, a=ERRORS, b=ERROR_SHARE, c=LEDGER))
    assert objective.indicator == Ratio(
        Population(Book.LEDGER, None), (Condition("outcome", ("timeout", "provider_error")),)
    )
    assert objective.target == 0.99
    assert (objective.critical, objective.confidence) == (True, 0.95)


def test_a_single_file_may_be_named(tmp_path):
    assert len(load_objectives(folder(tmp_path, slo=LATENCY) / "slo.yaml")) == 1


def test_a_list_of_objects_and_several_documents_are_both_read(tmp_path):
    listed = "\n".join(f"  {line}" for line in LEDGER.splitlines()).replace("  api", "- api", 1)
    path = folder(tmp_path, slo=f"{listed}\n---\n{ERRORS}---\n{ERROR_SHARE}")
    assert [objective.name for objective in load_objectives(path)] == ["errors"]


def test_several_objectives_of_a_ratio_get_numbered_names(tmp_path):
    errors = ERRORS.replace("[{targetPercent: 99}]", "[{target: 0.99}, {target: 0.999}]")
    path = folder(tmp_path, a=errors, b=ERROR_SHARE, c=LEDGER)
    assert [objective.name for objective in load_objectives(path)] == ["errors.1", "errors.2"]


def test_other_kinds_are_checked_as_envelopes_and_ignored(tmp_path):
    service = "apiVersion: openslo/v1\nkind: Service\nmetadata: {name: gateway}\nspec: {}\n"
    assert len(load_objectives(folder(tmp_path, a=LATENCY, b=service))) == 1
    (fault,) = faults(folder(tmp_path, b=service.replace("gateway", "Gate Way")))
    assert "lower-case" in fault.message


def test_a_resource_attribute_may_be_a_label_of_a_span(tmp_path):
    path = folder(tmp_path, slo=LATENCY.replace("[provider]", "[tenant_id]"))
    assert load_objectives(path)[0].group_by == ("tenant_id",)


def test_providers_in_conditions_are_canonical(tmp_path):
    path = folder(tmp_path, slo=LATENCY.replace("region: [eu, us]", "provider: azure_openai"))
    indicator = load_objectives(path)[0].indicator
    assert indicator.population.where == (Condition("provider", ("azure-openai",)),)


REFUSED = {
    "an old version": ("openslo/v1", "openslo/v1alpha", "v1alpha is not supported"),
    "a foreign version": ("openslo/v1", "v1", "expected apiVersion: openslo/v1"),
    "an unknown kind": ("kind: SLO", "kind: Slo", "expected a kind of"),
    "an unknown key": ("  service:", "  serivce: x\n  service:", 'unknown key "serivce"'),
    "no service": ("  service: gateway\n", "", 'key "service" is missing'),
    "a service with spaces": ("service: gateway", "service: the gateway", "lower-case"),
    "an upper-case name": ("name: latency\n", "name: Latency\n", "lower-case"),
    "an unquoted annotation": ('"false"', "false", "expected text, got false"),
    "an unquoted confidence": ('"0.9"', "0.9", "expected text, got the number 0.9"),
    "a doubtful confidence": ('"0.9"', '"95"', "expected a share between 0.5 and 1"),
    "a confidence that is no number": ('"0.9"', '"nan"', "expected a share between 0.5 and 1"),
    "a critical that is no flag": ('"false"', '"no"', 'expected "true" or "false"'),
    "an unknown annotation": ("9/critical", "9/critcal", 'unknown annotation "tfy-last9/critcal"'),
    "a reserved annotation": ("tfy-last9/critical", "openslo.com/a", "is reserved"),
    "a label that is a number": (
        "  annotations:",
        "  labels: {a: 1}\n  annotations:",
        "got the number 1",
    ),
    "a label key with a space": (
        "  annotations:",
        "  labels: {a b: x}\n  annotations:",
        "label key",
    ),
    "an annotation key with two slashes": ("tfy-last9/critical", "a/b/c", "not a valid annotation"),
    "a confidence in words": ('"0.9"', '"high"', "expected a share between 0.5 and 1"),
    "a calendar that starts in words": (
        "isRolling: true",
        "isRolling: false, calendar: {startTime: now, timeZone: UTC}",
        "YYYY-MM-DD",
    ),
    "seconds as a window": ("duration: 1h", "duration: 5s", "one unit of m h d w M Q Y"),
    "a compound window": ("duration: 1h", "duration: 1h30m", "one unit of m h d w M Q Y"),
    "a window of nothing": ("duration: 1h", "duration: 0m", "above 0"),
    "no window": (
        "  timeWindow: [{duration: 1h, isRolling: true}]\n",
        "",
        '"timeWindow" is missing',
    ),
    "two windows": (
        "isRolling: true}",
        "isRolling: true}, {duration: 1h, isRolling: true}",
        "at most 1 of these, got 2",
    ),
    "a calendar on a rolling window": (
        "isRolling: true",
        'isRolling: true, calendar: {startTime: "2026-01-01 00:00:00", timeZone: UTC}',
        "calendar belongs to",
    ),
    "an unknown time zone": (
        "isRolling: true",
        'isRolling: false, calendar: {startTime: "2026-01-01 00:00:00", timeZone: Mars/Base}',
        "IANA",
    ),
    "time slices without a window": ("Occurrences", "Timeslices", "timeSliceWindow is required"),
    "ratio time slices without a window": (
        "Occurrences",
        "RatioTimeslices",
        "timeSliceWindow is required",
    ),
    "lower-case occurrences": ("Occurrences", "occurrences", 'got "occurrences"'),
    "a slice target without slices": (
        "target: 0.95",
        "target: 0.95, timeSliceTarget: 0.9",
        "timeSliceTarget is required for Timeslices, and only there",
    ),
    "a composite with an indicator of its own": (
        "target: 0.95",
        "target: 0.95, indicatorRef: x",
        "either on the SLO or on its objectives",
    ),
    "a promise of everything": ("target: 0.95", "target: 1.0", "less than 1"),
    "two targets": ("target: 0.95", "target: 0.95, targetPercent: 95", "exactly one of target"),
    "no target": (", target: 0.95", "", "exactly one of target"),
    "no objective": ("[{op: lte, value: 2000, target: 0.95}]", "[]", "at least 1"),
    "two limits": (
        "target: 0.95}",
        "target: 0.95}, {op: lt, value: 1, target: 0.9}",
        "has one objective",
    ),
    "a threshold without limit": ("op: lte, value: 2000, ", "", "needs op and value"),
    "an endless limit": ("value: 2000", "value: .inf", "expected a finite number"),
    "an unknown operator": ("op: lte", "op: le", 'got "le"'),
    "no source": ("          type: last9\n", "", "needs type, or metricSourceRef"),
    "an unknown source": ("type: last9", "type: last99", "expected a source of type"),
    "a source that is nowhere": (
        "type: last9",
        "metricSourceRef: lastt9",
        "there is no DataSource",
    ),
    "an unknown field": ("duration_ms", "duration", "expected one of"),
    "a field of the other book": ("duration_ms", "total_ms", "expected one of"),
    "an unknown role": ("span: model", "span: modle", "expected one of"),
    "no role": ("span: model, ", "", 'key "span" is missing'),
    "a misspelt key of ours": ("groupBy", "grupBy", 'unknown key "grupBy"'),
    "a misspelt label": ("[provider]", "[providr]", 'unknown label "providr"'),
    "a group twice": ("[provider]", "[provider, provider]", "twice"),
    "a group that is no list": ("[provider]", "provider", "expected a list of labels"),
    "a condition that is no text": ("region: [eu, us]", "region: 5", "expected text"),
    "conditions that are no mapping": ("{region: [eu, us]}", "[eu]", "expected a mapping"),
    "an unknown status": ("region: [eu, us]", "status: failed", "expected one of"),
    "a repeated key": ("  service: gateway", "  service: a\n  service: b", "is repeated"),
    "both metrics": (
        "      thresholdMetric:",
        "      ratioMetric: {}\n      thresholdMetric:",
        "ratioMetric needs",
    ),
    "an empty source spec": (
        "{span: model, field: duration_ms, groupBy: [provider], where: {region: [eu, us]}}",
        "{}",
        "at least 1",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_faulty_threshold_slo_is_refused(tmp_path, case):
    old, new, message = REFUSED[case]
    assert old in LATENCY
    found = faults(folder(tmp_path, slo=LATENCY.replace(old, new)))
    assert message in "\n".join(map(str, found))
    assert all(fault.line > 0 for fault in found)


REFUSED_RATIOS = {
    "op on a ratio": ("targetPercent: 99", "targetPercent: 99, op: gt, value: 1", "do not belong"),
    "both indicators": (
        "indicatorRef: error-share",
        "indicatorRef: error-share\n  indicator: {metadata: {name: x}, spec: {}}",
        "exactly one of thresholdMetric",
    ),
    "no indicator": ("  indicatorRef: error-share\n", "", "exactly one of indicator"),
    "an indicator that is nowhere": ("Ref: error-share", "Ref: eror-share", 'no SLI "eror-share"'),
    "an unknown outcome": ("timeout", "timeuot", "expected one of"),
    "missed arrivals": ("timeout", "missed", "makes the run invalid"),
    "an unknown label of the ledger": ("outcome:", "outcom:", 'unknown label "outcom"'),
    "an attribute on the ledger": ("outcome:", "team:", 'unknown label "team"'),
    "counting something else": ("count: started", "count: sent", "expected one of started"),
    "two books": (
        "total: {metricSource: {metricSourceRef: ledger, spec: {count: started}}}",
        "total: {metricSource: {type: last9, spec: {span: model}}}",
        "use one source",
    ),
    "a raw ratio": ("counter: false", "rawType: success", "raw ratios are not supported"),
    "a counter": ("counter: false", "counter: true", "counter must be false"),
    "good that says nothing": (
        "outcome: [timeout, provider_error]",
        "outcome: []",
        "expected text",
    ),
    "bad and good": (
        "counter: false",
        "good: {metricSource: {type: last9, spec: {a: b}}}",
        "either bad or good",
    ),
    "a type that contradicts its source": (
        "metricSourceRef: ledger, spec: {count",
        "metricSourceRef: ledger, type: last9, spec: {count",
        'but DataSource "ledger" has type',
    ),
    "a source without connection": (
        ", connectionDetails: {}",
        "",
        '"connectionDetails" is missing',
    ),
}


@pytest.mark.parametrize("case", REFUSED_RATIOS)
def test_a_faulty_ratio_slo_is_refused(tmp_path, case):
    old, new, message = REFUSED_RATIOS[case]
    text = f"{ERRORS}---\n{ERROR_SHARE}---\n{LEDGER}"
    assert old in text
    found = faults(folder(tmp_path, slo=text.replace(old, new)))
    assert message in "\n".join(map(str, found))


def test_two_objects_of_one_kind_and_name_are_refused(tmp_path):
    (fault,) = faults(folder(tmp_path, a=LATENCY, b=LATENCY))
    assert fault.message == f'SLO "latency" is defined twice; first in {tmp_path}/a.yaml:4'
    assert fault.path.endswith("b.yaml")


def test_an_empty_folder_is_never_a_pass(tmp_path):
    (fault,) = faults(tmp_path)
    assert "can never pass" in fault.message


def test_a_folder_without_an_slo_is_never_a_pass(tmp_path):
    (fault,) = faults(folder(tmp_path, a=LEDGER))
    assert "no SLO found" in fault.message


def test_an_empty_file_is_refused_although_others_hold_slos(tmp_path):
    (fault,) = faults(folder(tmp_path, a=LATENCY, b="---\n"))
    assert fault.message == "the file is empty"


def test_a_document_that_is_no_object_is_refused(tmp_path):
    (fault,) = faults(folder(tmp_path, a="just text"))
    assert "expected an OpenSLO object" in fault.message


def test_faults_of_all_files_are_reported_at_once_with_their_places(tmp_path):
    found = faults(
        folder(
            tmp_path,
            a=LATENCY.replace("duration_ms", "duratoin_ms"),
            b=ERRORS.replace("gateway", "gate way") + "---\n" + ERROR_SHARE + "---\n" + LEDGER,
        )
    )
    assert [(Path(fault.path).name, fault.line) for fault in found] == [
        ("a.yaml", 16),
        ("b.yaml", 5),
    ]
    assert found[0].suggestion == 'did you mean "duration_ms"?'


def test_a_fault_in_a_referenced_object_is_reported_once(tmp_path):
    """That nothing can refer to a broken object follows from its own fault."""
    sli, source = ERROR_SHARE.replace("counter: false", "counter: true"), LEDGER
    (fault,) = faults(folder(tmp_path, a=ERRORS, b=sli, c=source))
    assert "counter must be false" in fault.message
    source = LEDGER.replace("connectionDetails", "conectionDetails")
    found = faults(folder(tmp_path, a=ERRORS, b=ERROR_SHARE, c=source))
    assert {Path(fault.path).name for fault in found} == {"c.yaml"}


def test_a_missing_path_is_refused(tmp_path):
    (fault,) = faults(tmp_path / "none")
    assert "no such file" in fault.message

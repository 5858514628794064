"""The checker says the same under every setting of what Last9 leaves undocumented.

One gate is run, against a Last9 that shows spans late and one by one; its spans are then sent to
stand-ins with other settings, and the run is collected again.
"""

import json
from dataclasses import fields

import pytest
from gating import SCENARIO, SLO
from gating import query as gating_query
from last9_replay import record

from tfy_last9.standins.last9.settings import Settings

pytestmark = [pytest.mark.contract, pytest.mark.xdist_group("last9_matrix")]

WORLDS = {
    "prometheus rows": [
        *("aggregate-shape=value", "aggregate-numbers=string", "empty-result=null"),
        *("default-limit=1", "default-order=oldest", "timestamps=naive", "select=ignore"),
    ],
    "flat rows": [
        *("aggregate-shape=flat", "group-limit=ignore", "empty-result=missing", "max-limit=1000"),
        *("default-mode=trace", "window-end=inclusive", "timestamps=space", "select=flat"),
        *("plain-fields=reject", "numeric-attributes=number", "window-start=exclusive"),
    ],
    "other spellings": [
        *("group-order=shuffled", "unset-status=empty", "event-keys=otlp", "error-shape=object"),
        *("dotted-fields=accept", "expired-status=403", "bad-refresh-status=400"),
        *("fault=token_expiry=1s", "otlp-errors=text", "invalid-spans=refuse"),
        *("genai-metrics=on", "p99-quantile=on", "wrong-region=maintenance"),
    ],
    "in trouble": [
        *("rate-limit-per-s=10", "retry-after=date", "error-shape=status"),
        *("fault=duplicate_spans=0.2", "fault=last9_429=0.2", "fault=last9_5xx=0.1"),
        *("fault=last9_slow=100ms@0.2", "max-range-s=20"),
    ],
}
"""Settings that go together; between them, every switch leaves its default."""
RECORDED_UNDER = {"lag_ms", "spread_ms"}
IDENTITY = {"organization", "region", "token_scopes", "token_lifetime_s"}
LOSSES = {"drop_rules", "max_export_bytes", "retention_s"}
"""Settings that lose spans: the verdict has to change."""


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    directory = tmp_path_factory.mktemp("matrix")
    late = ("--last9-option=--lag-ms=800", "--last9-option=--spread-ms=800")
    return record(directory, SCENARIO, SLO, *late)


def findings(verdict):
    return [
        (finding["objective"], str(finding["group"]), finding["state"], finding["bad"])
        for finding in verdict["findings"]
    ]


@pytest.mark.parametrize("world", WORLDS)
def test_the_verdict_does_not_depend_on(recording, tmp_path, world):
    ended, verdict = recording.collected(tmp_path, *(f"--{switch}" for switch in WORLDS[world]))
    expected = json.loads((recording.folder / "verdict.json").read_text())
    assert ended.returncode == 0, ended.stdout[:900] + ended.stderr
    assert findings(verdict) == findings(expected)


def judged_calls(folder):
    """Calls of judged requests by provider, from the spans that the gate fetched one by one."""
    rows = gating_query(
        f"SELECT s.provider, count(*) FROM '{folder}/spans.parquet' s"
        f" JOIN '{folder}/requests.parquet' r USING (trace_id)"
        " WHERE s.role = 'model' AND r.phase <> 'warm-up' GROUP BY 1"
    )
    return dict(rows)


@pytest.mark.parametrize("world", [name for name in WORLDS if name != "in trouble"])
def test_what_last9_counts_does_not_depend_on(recording, tmp_path, world):
    """Duplicates are left out: Last9 counts a span as often as it stored it."""
    options = (f"--{switch}" for switch in WORLDS[world])
    ended, _ = recording.collected(tmp_path, *options, LAST9_STRATEGY="counts")
    assert ended.returncode == 0, ended.stdout[:900] + ended.stderr
    evidence = json.loads((tmp_path / recording.folder.name / "evidence.json").read_text())
    assert evidence["warnings"] == []
    counts = [one for one in evidence["counts"] if one["objective"] == "provider-errors"]
    assert {one["group"][0]: one["total"] for one in counts} == judged_calls(recording.folder)


@pytest.mark.parametrize(
    "trouble",
    [
        "retention-s=1",
        "max-limit=50",
        "drop-rules=attributes['tfy.span_type']=Model",
        "fault=last9_page_cap=50",
    ],
)
def test_what_hides_spans_is_never_a_pass(recording, tmp_path, trouble):
    """50 rows an answer are less than one second holds, which is the smallest slice there is."""
    ended, verdict = recording.collected(tmp_path, f"--{trouble}")
    assert ended.returncode in {20, 21, 22, 23}, ended.stdout[:900] + ended.stderr
    assert verdict["state"] != "PASS"


def test_every_switch_is_in_some_world():
    turned = {switch.partition("=")[0].replace("-", "_") for w in WORLDS.values() for switch in w}
    names = {field.name for field in fields(Settings)}
    assert names - turned == RECORDED_UNDER | IDENTITY | LOSSES

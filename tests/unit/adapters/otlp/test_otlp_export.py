"""The run as OpenTelemetry: what goes over the wire is what the ledger says, and failing changes nothing."""

import duckdb
import pytest
from runfolder_builders import EPOCH_NS, S

from tfy_last9.adapters.otlp.metrics import DURATION_BOUNDS_S
from tfy_last9.adapters.otlp.requests import SAMPLED
from tfy_last9.adapters.otlp.sender import OtlpSender
from tfy_last9.cli.console import Console
from tfy_last9.cli.exporting import export_after, export_run
from tfy_last9.errors import BackendUnavailable, BrokenRun
from tfy_last9.reports import verdict_json
from tfy_last9.wire.traceparent import trace_ids


def ledger(folder, columns, where="true"):
    with duckdb.connect() as database:
        sql = f"SELECT {columns} FROM '{folder.ledger_path}' WHERE {where} ORDER BY seq"
        return database.execute(sql).fetchall()


def value_of(any_value):
    kind = any_value.WhichOneof("value")
    if kind == "array_value":
        return [value_of(item) for item in any_value.array_value.values]
    return getattr(any_value, kind)


def attributes(carrier):
    return {item.key: value_of(item.value) for item in carrier.attributes}


def requests_of(endpoint):
    found = {}
    for span in endpoint.spans:
        seen = attributes(span)
        if "tfy_last9.request_id" in seen:
            found[seen["tfy_last9.request_id"]] = (span, seen)
    return found


def test_the_run_and_each_phase_are_spans_of_one_trace(endpoint, judged):
    export_run(judged, endpoint.settings)
    run_id = judged.read_manifest().run_id
    trace_id, span_id = trace_ids(run_id)
    mine = [span for span in endpoint.spans if span.trace_id.hex() == trace_id]
    root, *phases = mine
    assert root.span_id.hex() == span_id
    assert {phase.name for phase in phases} == {"phase warm-up", "phase steady"}
    assert {phase.parent_span_id for phase in phases} == {root.span_id}
    assert root.start_time_unix_nano == EPOCH_NS
    verdict = verdict_json.parse(judged.verdict_path.read_text())
    assert attributes(root)["tfy_last9.verdict"] == verdict.state.value == "FAIL"
    assert attributes(root)["tfy_last9.reason"] == verdict.reason
    assert {resource.attributes[0].key for resource in endpoint.resources} == {"service.name"}


def test_every_request_that_an_objective_counts_as_bad_or_that_failed_is_a_span(endpoint, judged):
    done = export_run(judged, endpoint.settings)
    spans = requests_of(endpoint)
    failed = {row[0] for row in ledger(judged, "request_id", "outcome <> 'ok'")}
    slow = "phase = 'steady' AND outcome = 'ok' AND first_token_ns - due_ns > 1500e6"
    late = {row[0] for row in ledger(judged, "request_id", slow)}
    lost = {row[0] for row in ledger(judged, "request_id", "seq % 50 = 49 OR seq % 30 = 29")}
    assert failed
    assert late
    assert failed | late | lost <= spans.keys()
    assert not [name for name in failed | late | lost if spans[name][1]["tfy_last9.sampled"]]
    assert all("client-ttft-p95" in spans[name][1]["tfy_last9.breaches"] for name in late)
    assert done.breaching == sum(not seen["tfy_last9.sampled"] for _, seen in spans.values())
    assert len(spans) == len(ledger(judged, "seq")) < SAMPLED  # so small a run is sampled whole


def test_the_rest_is_sampled_the_same_way_every_time(endpoint, judged, monkeypatch):
    monkeypatch.setattr("tfy_last9.adapters.otlp.requests.chosen.__defaults__", (7,))
    assert export_run(judged, endpoint.settings).sampled == 7
    first = {span.span_id for span in endpoint.spans}
    export_run(judged, endpoint.settings)
    assert {span.span_id for span in endpoint.spans} == first  # ids too: nothing new arrives


def test_a_request_is_the_trace_its_header_announced_and_links_to_the_gateways(endpoint, judged):
    export_run(judged, endpoint.settings)
    spans = requests_of(endpoint)
    columns = "request_id, trace_id, root_span_id, epoch_ns, due_ns, finished_ns, first_token_ns"
    for request_id, trace_id, root_id, epoch_ns, due_ns, finished_ns, token_ns in ledger(
        judged, columns
    ):
        span, seen = spans[request_id]
        assert (span.trace_id.hex(), span.span_id.hex()) == trace_ids(request_id)
        assert span.start_time_unix_nano == epoch_ns + due_ns
        assert span.end_time_unix_nano == epoch_ns + finished_ns
        linked = [(link.trace_id.hex(), link.span_id.hex()) for link in span.links]
        assert (trace_id, root_id) == linked[0]
        assert seen["tfy_last9.gateway.trace_id"] == trace_id
        if token_ns is not None:
            assert seen["tfy_last9.ttft_ms"] == (token_ns - due_ns) / 1e6
            (event,) = [event for event in span.events if event.name == "first token"]
            assert event.time_unix_nano == epoch_ns + token_ns


def test_histograms_hold_every_request_and_their_last_point_is_the_whole_run(endpoint, judged):
    export_run(judged, endpoint.settings)
    metrics = {one.name: one for one in endpoint.metrics}
    assert set(metrics) == {
        "gen_ai.client.operation.duration",
        "gen_ai.client.operation.time_to_first_chunk",
        "gen_ai.client.token.usage",
    }
    duration = metrics["gen_ai.client.operation.duration"]
    assert duration.unit == "s"
    last = {}
    for point in duration.histogram.data_points:
        key = tuple(sorted(attributes(point).items()))
        before = last.get(key)
        if before is not None:  # cumulative, in order of time
            assert point.time_unix_nano > before.time_unix_nano
            pairs = zip(point.bucket_counts, before.bucket_counts, strict=True)
            assert all(now >= then for now, then in pairs)
        last[key] = point
    rows = ledger(judged, "(finished_ns - due_ns) / 1e9")
    assert sum(point.count for point in last.values()) == len(rows)
    assert sum(point.sum for point in last.values()) == pytest.approx(sum(row[0] for row in rows))
    below = sum(row[0] <= DURATION_BOUNDS_S[7] for row in rows)
    assert sum(sum(point.bucket_counts[:8]) for point in last.values()) == below > 0
    assert {dict(key).get("error.type") for key in last} == {None, "503"}
    assert min(point.start_time_unix_nano for point in last.values()) == EPOCH_NS
    assert max(point.time_unix_nano for point in last.values()) <= EPOCH_NS + 40 * S


def test_tokens_are_told_apart(endpoint, judged):
    export_run(judged, endpoint.settings)
    (usage,) = [one for one in endpoint.metrics if one.name == "gen_ai.client.token.usage"]
    kinds = {attributes(point)["gen_ai.token.type"] for point in usage.histogram.data_points}
    assert kinds == {"input", "output"}


class Instant:
    """A clock that waits for nothing."""

    def now_ns(self):
        return 0

    def sleep(self, seconds):
        pass


def test_an_overloaded_endpoint_is_asked_again_and_a_refusal_is_not(endpoint):
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
        ExportTraceServiceRequest,
    )

    with OtlpSender(endpoint.settings, Instant()) as sender:
        endpoint.statuses = [503, 429]
        sender.send("traces", ExportTraceServiceRequest())
        assert len(endpoint.paths) == 3
        endpoint.statuses = [401]
        with pytest.raises(BackendUnavailable, match=r"/v1/traces: 401 not for \*\*\*"):
            sender.send("traces", ExportTraceServiceRequest())
        assert len(endpoint.paths) == 4


def test_a_failed_export_is_said_and_changes_no_verdict(endpoint, judged, capsys):
    before = judged.verdict_path.read_bytes()
    endpoint.statuses = [401]
    export_after(judged, endpoint.settings, Console())
    said = capsys.readouterr().err
    assert "were not exported" in said
    assert "401" in said
    assert f"tfy-last9 export {judged.path}" in said
    assert "Basic" not in said
    assert judged.verdict_path.read_bytes() == before


def test_nobody_there_names_the_error_of_the_network(judged, capsys, monkeypatch):
    from tfy_last9.adapters.otlp.settings import OtlpSettings

    monkeypatch.setattr("tfy_last9.adapters.otlp.sender._PAUSES_S", ())
    export_after(judged, OtlpSettings("http://127.0.0.1:9", "Basic eA=="), Console())
    assert "ConnectError: [Errno 111] Connection refused" in capsys.readouterr().err


def test_what_the_endpoint_left_out_is_said(endpoint, judged, capsys):
    endpoint.rejects = 3
    export_after(judged, endpoint.settings, Console())
    assert "of them were rejected" in capsys.readouterr().err


def test_a_run_without_a_verdict_is_not_exported(endpoint, tmp_path):
    from sample_run import sample_run

    with pytest.raises(BrokenRun, match="never judged"):
        export_run(sample_run(tmp_path, requests=30), endpoint.settings)
    assert not endpoint.paths

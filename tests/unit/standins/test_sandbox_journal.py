import json
import multiprocessing
import time

from tfy_last9.standins.journal import Journal


def _write_many(path, process, lines):
    with Journal(path, process) as journal:
        for k in range(lines):
            journal.write("answer", k=k, filler="x" * (k % 300))


def test_a_line_bears_both_clocks_its_process_and_its_fields(tmp_path):
    path = tmp_path / "journal.ndjson"
    before_ns, before_mono_ns = time.time_ns(), time.monotonic_ns()
    with Journal(path, "gateway") as journal:
        journal.write("request", trace_id="ab", status=None)
    (line,) = [json.loads(text) for text in path.read_text().splitlines()]
    assert line["process"] == "gateway"
    assert line["event"] == "request"
    assert line["status"] is None
    assert before_ns <= line["t_ns"] <= time.time_ns()
    assert before_mono_ns <= line["mono_ns"] <= time.monotonic_ns()


def test_lines_of_several_processes_never_interleave(tmp_path):
    path = tmp_path / "journal.ndjson"
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_write_many, args=(path, f"p{i}", 400)) for i in range(2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    lines = [json.loads(text) for text in path.read_text().splitlines()]
    for i in range(2):
        assert [line["k"] for line in lines if line["process"] == f"p{i}"] == list(range(400))


def test_opening_again_appends(tmp_path):
    path = tmp_path / "journal.ndjson"
    _write_many(path, "first", 1)
    _write_many(path, "second", 1)
    assert len(path.read_text().splitlines()) == 2

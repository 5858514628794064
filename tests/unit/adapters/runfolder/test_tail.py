"""Reading a ledger that is still being written."""

from tfy_last9.adapters.runfolder.tail import Tail


def test_each_whole_line_is_read_once_from_every_file(tmp_path):
    tail = Tail(tmp_path)
    assert list(tail.rows()) == []
    first, second = tmp_path / "rows-0.ndjson", tmp_path / "rows-1.ndjson"
    first.write_text('{"seq":0}\n{"seq":')
    assert [row["seq"] for row in tail.rows()] == [0]
    assert list(tail.rows()) == []
    with first.open("a") as file:
        file.write("2}\n")
    second.write_text('{"seq":1}\n')
    assert [row["seq"] for row in tail.rows()] == [2, 1]


def test_a_line_that_cannot_be_read_is_left_to_the_sealing(tmp_path):
    (tmp_path / "rows-0.ndjson").write_bytes(b'{"seq":0}\n\x00\xff\n{"seq":1}\n')
    assert [row["seq"] for row in Tail(tmp_path).rows()] == [0, 1]


def test_files_that_are_taken_away_end_nothing(tmp_path):
    path = tmp_path / "rows-0.ndjson"
    path.write_text('{"seq":0}\n')
    tail = Tail(tmp_path)
    assert len(list(tail.rows())) == 1
    path.unlink()
    assert list(tail.rows()) == []

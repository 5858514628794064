"""The store: what was offered is written, a full queue and a broken disk are told, files persist."""

import threading

import duckdb
import pytest
from last9_sandbox import make_span, rows_of

from tfy_last9.standins.last9 import store as module
from tfy_last9.standins.last9.sql import Sql
from tfy_last9.standins.last9.store import SpanStore, StoreInUse

COUNT = Sql("SELECT count(*) FROM spans")


def batch(count=1):
    return rows_of(*(make_span(number) for number in range(1, count + 1)))


def test_what_was_offered_is_written_before_it_closes(tmp_path):
    path = tmp_path / "spans.duckdb"
    store = SpanStore(path)
    assert all(store.offer(batch(3)) for _ in range(5))
    store.close()
    again = SpanStore(path)
    assert again.written == 15
    assert again.rows(COUNT) == [(15,)]
    again.close()


def test_a_file_that_is_open_elsewhere_is_named(tmp_path):
    path = tmp_path / "spans.duckdb"
    path.write_bytes(b"not a database, and long enough to be looked at" * 100)
    with pytest.raises(StoreInUse, match=str(path)):
        SpanStore(path)


def test_a_full_queue_refuses(monkeypatch):
    monkeypatch.setattr(module, "QUEUED_BATCHES", 1)
    taken, go_on = threading.Event(), threading.Event()
    write = SpanStore._write

    def slow(self, appender, batches):
        taken.set()
        go_on.wait()
        write(self, appender, batches)

    monkeypatch.setattr(SpanStore, "_write", slow)
    store = SpanStore()
    assert store.offer(batch())
    taken.wait()
    assert store.offer(batch())
    assert not store.offer(batch())
    go_on.set()
    store.close()
    assert store.written == 2


def test_after_a_failed_write_nothing_more_is_accepted(monkeypatch, capsys):
    """Accepting and losing spans would look like a fault of the gateway."""

    def broken(*_):
        raise duckdb.IOException("No space left on device")

    store = SpanStore()
    monkeypatch.setattr(SpanStore, "_append", broken)
    store.offer(batch())
    for _ in range(500):
        if store.failure:
            break
        threading.Event().wait(0.01)
    assert "No space left" in store.failure
    assert not store.offer(batch())
    store.close()
    assert store.written == 0
    assert "refusing more" in capsys.readouterr().err


def test_readers_see_only_whole_batches():
    store = SpanStore()
    for _ in range(20):
        store.offer(batch(50))
    counts = {store.rows(COUNT)[0][0] for _ in range(20)}
    assert all(count % 50 == 0 for count in counts)
    store.close()


def test_queries_cannot_reach_files():
    store = SpanStore()
    with pytest.raises(duckdb.PermissionException):
        store.rows(Sql("SELECT * FROM read_csv('/etc/passwd')"))
    store.close()

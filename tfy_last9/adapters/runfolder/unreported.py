"""Requests that left no row because their worker was lost, rebuilt from scenario and seed.

The schedule is known to whoever holds the scenario, so it is known which requests are missing: their ids,
targets and due times, and the trace ids that were sent with them. Nothing is known of their outcome.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING

import orjson

from tfy_last9.arrivals.arms import destinations
from tfy_last9.arrivals.schedule import Arrival, share
from tfy_last9.wire.traceparent import trace_ids

if TYPE_CHECKING:
    from pathlib import Path

    import duckdb

    from tfy_last9.model.run import Manifest, WorkerFacts

CHUNK = 100_000


def lost_arrivals(
    database: duckdb.DuckDBPyConnection, manifest: Manifest, offered: int
) -> Iterator[tuple[int, Arrival]]:
    """Yield worker and arrival of every request that was offered and has no row in the view `ledger`."""
    stored = _stored(database, offered)
    workers: tuple[WorkerFacts | None, ...] = (
        manifest.workers or (None,) * manifest.expected_workers
    )
    for index, facts in enumerate(workers):
        whole = facts is None or (manifest.ended == "schedule" and not facts.drained)
        known = None if whole or facts is None else facts.offered
        arrivals = islice(share(manifest.scenario, index, len(workers)), known)
        for arrival in arrivals:
            if whole and arrival.seq >= offered:
                break
            if arrival.seq >= len(stored) or not stored[arrival.seq]:
                yield index, arrival


def write_unreported(path: Path, manifest: Manifest, lost: Iterable[tuple[int, Arrival]]) -> int:
    """Write one NDJSON line per lost request, in the ledger's columns; return how many there are."""
    places = destinations(manifest.scenario)
    count = 0
    with path.open("wb") as file:
        for count, (worker, arrival) in enumerate(lost, start=1):  # noqa: B007 - counts the lines
            target, arm = places[arrival.target, arrival.arm]
            request_id = f"{manifest.run_id}.{arrival.seq}"
            row = {
                "run_id": manifest.run_id,
                "request_id": request_id,
                "worker": worker,
                "seq": arrival.seq,
                "arm": arm,
                "phase": arrival.phase,
                "target": target.name,
                "provider": target.provider,
                "model": target.model,
                "api": target.api.value,
                "stream": target.stream,
                "due_ns": arrival.due_ns,
                "epoch_ns": manifest.start_ns,
                "client_trace_id": trace_ids(request_id)[0],
                "arrival": arrival.number,
            }
            file.write(orjson.dumps(row) + b"\n")
    return count


def _stored(database: duckdb.DuckDBPyConnection, offered: int) -> bytearray:
    """Return 1 for each sequence number that has a row: one byte a request."""
    found = bytearray(offered)
    rows = database.execute("SELECT seq FROM ledger ORDER BY 1")
    while chunk := rows.fetchmany(CHUNK):
        for (seq,) in chunk:
            found.extend(bytes(max(0, seq + 1 - len(found))))
            found[seq] = 1
    return found

"""Files that were cut off, emptied or exchanged: one message that names the file, never a traceback."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from runfolder_builders import (
    build_page,
    build_record,
    build_row,
    build_trace,
    collect,
    sealed_folder,
)

from tfy_last9.adapters.runfolder.evidence import EvidenceStore
from tfy_last9.adapters.runfolder.reduce import Reduction
from tfy_last9.errors import BrokenRun
from tfy_last9.model.run import Collection

if TYPE_CHECKING:
    from pathlib import Path

    from tfy_last9.adapters.runfolder.folder import RunFolder


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    made = sealed_folder(tmp_path, [build_row(0), build_row(1)])
    collect(made, build_page([*build_trace(0), *build_trace(1)]))
    return made


def reduce(folder: RunFolder) -> None:
    with Reduction(folder, []) as reduction:
        reduction.accounting()
        reduction.validity()


@pytest.mark.parametrize("name", ["requests.parquet", "spans.parquet", "health.parquet"])
@pytest.mark.parametrize("kept", [0, 100])
def test_a_file_that_was_cut_off_is_named(folder: RunFolder, name: str, kept: int) -> None:
    file = folder.path / name
    file.write_bytes(file.read_bytes()[:kept])
    with pytest.raises(BrokenRun, match=name):
        reduce(folder)


def test_files_that_changed_places_are_named(folder: RunFolder) -> None:
    folder.ledger_path.write_bytes(folder.spans_path.read_bytes())
    with pytest.raises(BrokenRun, match=r"requests\.parquet"):
        reduce(folder)


def test_collecting_again_over_damaged_spans_names_them(folder: RunFolder) -> None:
    folder.spans_path.write_bytes(b"")
    with pytest.raises(BrokenRun, match=r"spans\.parquet"):
        EvidenceStore(folder, ())


def test_spans_that_left_the_folder_are_not_blamed_on_the_gateway(folder: RunFolder) -> None:
    """Without them every trace would look lost, although Last9 showed it."""
    saved = Collection(
        at_ns=1, expected=2, complete=2, spans=6, queries=1, bytes_fetched=1, error=None
    )
    folder.write_evidence(build_record(collections=(saved,)))
    reduce(folder)
    folder.spans_path.unlink()
    with pytest.raises(BrokenRun, match=r"holds 0 spans, but evidence\.json counts 6"):
        reduce(folder)


def test_a_run_whose_health_was_deleted_is_no_valid_run(folder: RunFolder) -> None:
    """Nobody can tell any more whether the generator kept up: that must not pass in silence."""
    with Reduction(folder, []) as reduction:
        assert reduction.validity().problems == ()
    folder.health_path.unlink()
    with Reduction(folder, []) as reduction:
        (problem,) = reduction.validity().problems
    assert "health.parquet is missing" in problem

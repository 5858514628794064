"""The folder itself: what it refuses, and what it says when something is missing."""

from __future__ import annotations

from pathlib import Path

import pytest
from runfolder_builders import EPOCH_NS, build_manifest, new_folder

from tfy_last9.adapters.runfolder.folder import RunFolder
from tfy_last9.errors import BrokenRun, ConfigurationError
from tfy_last9.model.run import EvidenceRecord, SettlePoint, Window

RECORD = EvidenceRecord(
    strategy="rows",
    window=Window(EPOCH_NS, EPOCH_NS + 1),
    region="eu",
    organisation="acme",
    cluster=None,
    link_base=None,
    queries=3,
    rows_fetched=9,
    bytes_fetched=900,
    truncated=(Window(1, 2),),
    late_after_s=30.0,
    deadline_s=60.0,
    settled=True,
    history=(SettlePoint(5, 3, 2),),
)


def test_the_manifest_comes_back_as_it_was_written(tmp_path: Path) -> None:
    manifest = build_manifest(faults=("trace_loss=0.1",))
    folder = new_folder(tmp_path, manifest)
    assert RunFolder(folder.path).read_manifest() == manifest


def test_the_evidence_record_comes_back_as_it_was_written(tmp_path: Path) -> None:
    folder = new_folder(tmp_path)
    folder.write_evidence(RECORD)
    assert folder.read_evidence() == RECORD


def test_a_run_never_overwrites_another(tmp_path: Path) -> None:
    new_folder(tmp_path)
    with pytest.raises(ConfigurationError, match="exists already"):
        new_folder(tmp_path)


def test_slo_files_keep_their_place_below_the_slo_folder(tmp_path: Path) -> None:
    root = tmp_path / "slo"
    (root / "team").mkdir(parents=True)
    file = root / "team" / "a.yaml"
    file.write_text("kind: SLO\n")
    folder = RunFolder.create(tmp_path / "runs", build_manifest(), root, [file])
    assert folder.slo_files() == (folder.slo_path / "team" / "a.yaml",)
    assert folder.slo_files()[0].read_text() == "kind: SLO\n"


def test_a_missing_folder_a_missing_manifest_and_missing_evidence_are_named(tmp_path: Path) -> None:
    with pytest.raises(BrokenRun, match="no run folder at"):
        RunFolder(tmp_path / "nowhere").read_manifest()
    with pytest.raises(BrokenRun, match=r"has no run\.json"):
        RunFolder(tmp_path).read_manifest()
    with pytest.raises(BrokenRun, match=r"has no evidence\.json") as caught:
        RunFolder(tmp_path).read_evidence()
    assert "tfy-last9 collect" in (caught.value.hint or "")


def test_an_edited_manifest_says_where_it_cannot_be_read(tmp_path: Path) -> None:
    folder = new_folder(tmp_path)
    text = folder.manifest_path.read_text().replace('"seed": 1', '"seed": "many"')
    folder.manifest_path.write_text(text)
    with pytest.raises(BrokenRun, match=r"scenario\.seed"):
        folder.read_manifest()


def test_a_manifest_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    folder = new_folder(tmp_path, build_manifest(schema=99))
    with pytest.raises(BrokenRun, match="schema 99"):
        folder.read_manifest()


def test_a_write_that_breaks_off_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = new_folder(tmp_path)
    folder.write(folder.verdict_path, b"old")

    def full(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("tfy_last9.adapters.runfolder.folder.sync", full)
    with pytest.raises(OSError, match="disk full"):
        folder.write(folder.verdict_path, b"new")
    assert folder.verdict_path.read_bytes() == b"old"


def test_a_ledger_that_was_never_sealed_is_named(tmp_path: Path) -> None:
    with pytest.raises(BrokenRun, match="never sealed"):
        new_folder(tmp_path).require_ledger()

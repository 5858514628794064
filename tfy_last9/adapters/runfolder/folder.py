"""The run folder: typed paths and the JSON records in it.

    runs/<run id>/
      run.json  slo/  requests.parquet  health.parquet  gaps.parquet  spans.parquet  evidence.json
      verdict.json  junit.xml  summary.md  ctrf.json  metrics.txt
      baseline/ (of the run it is compared with)
      .work/ (what the load process writes, until sealed)

Files are written whole or not at all: a temporary file, synced, then renamed.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pydantic import TypeAdapter, ValidationError

from tfy_last9.adapters.files.nearest import nearest_path
from tfy_last9.adapters.runfolder.durable import sync
from tfy_last9.errors import BrokenRun, ConfigurationError
from tfy_last9.model.run import EVIDENCE_SCHEMA, MANIFEST_SCHEMA, EvidenceRecord, Manifest

if TYPE_CHECKING:
    from collections.abc import Iterable

RecordT = TypeVar("RecordT", Manifest, EvidenceRecord)

MANIFEST = TypeAdapter(Manifest)
EVIDENCE = TypeAdapter(EvidenceRecord)


@dataclass(frozen=True, slots=True)
class RunFolder:
    """One run on disk. Constructing it touches nothing; `create` makes it, `read_*` opens its files."""

    path: Path

    @property
    def manifest_path(self) -> Path:
        """`run.json`: what was run, how it ended."""
        return self.path / "run.json"

    @property
    def ledger_path(self) -> Path:
        """`requests.parquet`: one row per intended request; exists once sealed."""
        return self.path / "requests.parquet"

    @property
    def health_path(self) -> Path:
        """`health.parquet`: the generator, per second and worker."""
        return self.path / "health.parquet"

    @property
    def gaps_path(self) -> Path:
        """`gaps.parquet`: times between tokens, as counts per bucket; absent when none was counted."""
        return self.path / "gaps.parquet"

    @property
    def spans_path(self) -> Path:
        """`spans.parquet`: the evidence; absent when Last9 was not asked."""
        return self.path / "spans.parquet"

    @property
    def evidence_path(self) -> Path:
        """`evidence.json`: how the spans were fetched."""
        return self.path / "evidence.json"

    @property
    def unreported_path(self) -> Path:
        """`unreported.parquet`: planned requests that left no row; absent when there are none."""
        return self.path / "unreported.parquet"

    @property
    def slo_path(self) -> Path:
        """Copies of the SLO files as used."""
        return self.path / "slo"

    @property
    def work_path(self) -> Path:
        """What the load process writes; removed when sealed."""
        return self.path / ".work"

    @property
    def verdict_path(self) -> Path:
        """`verdict.json`: source of truth of every report."""
        return self.path / "verdict.json"

    @property
    def junit_path(self) -> Path:
        """`junit.xml`."""
        return self.path / "junit.xml"

    @property
    def baseline(self) -> RunFolder:
        """`baseline/`: ledger, manifest and verdict of the run that this one is compared with."""
        return RunFolder(self.path / "baseline")

    @classmethod
    def create(
        cls, parent: Path, manifest: Manifest, slo_root: Path, slo_files: Iterable[Path]
    ) -> RunFolder:
        """Make `parent/<run id>` with `run.json`, `slo/` and `.work/`; never touch an existing one.

        `slo_files` keep their place relative to `slo_root`.
        """
        folder = cls(parent / manifest.run_id)
        parent.mkdir(parents=True, exist_ok=True)
        try:
            folder.path.mkdir()
        except FileExistsError as error:
            raise ConfigurationError(
                f"the run folder {folder.path} exists already; a run never overwrites another",
                hint="start again (the run id is new each time), or choose another --out",
            ) from error
        folder.work_path.mkdir()
        folder.slo_path.mkdir()
        for file in slo_files:
            copy = folder.slo_path / file.relative_to(slo_root)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, copy)
        folder.write_manifest(manifest)
        return folder

    def read_manifest(self) -> Manifest:
        """Read `run.json`."""
        if not self.path.is_dir():
            meant = nearest_path(self.path)
            raise BrokenRun(
                f"there is no run folder at {self.path}",
                hint=f"did you mean {meant}?" if meant else "`ls runs/` shows the runs there are",
            )
        text = self._require(self.manifest_path, "give the path of a folder that `gate` wrote")
        manifest = _parse(MANIFEST, text, self.manifest_path)
        _check_schema(manifest.schema, MANIFEST_SCHEMA, self.manifest_path)
        return manifest

    def write_manifest(self, manifest: Manifest) -> None:
        """Write `run.json`."""
        self.write(self.manifest_path, MANIFEST.dump_json(manifest, indent=2) + b"\n")

    def read_evidence(self) -> EvidenceRecord:
        """Read `evidence.json`."""
        text = self._require(self.evidence_path, f"fetch it with `tfy-last9 collect {self.path}`")
        record = _parse(EVIDENCE, text, self.evidence_path)
        _check_schema(record.schema, EVIDENCE_SCHEMA, self.evidence_path)
        return record

    def write_evidence(self, record: EvidenceRecord) -> None:
        """Write `evidence.json`."""
        self.write(self.evidence_path, EVIDENCE.dump_json(record, indent=2) + b"\n")

    def slo_files(self) -> tuple[Path, ...]:
        """Return the stored SLO files, sorted by path."""
        return tuple(sorted(path for path in self.slo_path.rglob("*") if path.is_file()))

    def require_ledger(self) -> Path:
        """Return the path of the sealed ledger, or say what is missing."""
        if not self.ledger_path.is_file():
            raise BrokenRun(
                f"{self.path} has no requests.parquet: its ledger was never sealed",
                hint=f"`tfy-last9 collect {self.path}` seals what the load process left"
                if self.work_path.is_dir()
                else "the load process left nothing behind; run the gate again",
            )
        return self.ledger_path

    def write(self, path: Path, data: bytes) -> None:
        """Write a file of the folder, whole or not at all."""
        temporary = path.with_name(f".{path.name}.tmp")
        temporary.write_bytes(data)
        sync(temporary)
        temporary.replace(path)
        sync(path.parent)

    def _require(self, path: Path, hint: str) -> bytes:
        try:
            return path.read_bytes()
        except FileNotFoundError as error:
            raise BrokenRun(f"{self.path} has no {path.name}", hint=hint) from error


def _parse(adapter: TypeAdapter[RecordT], text: bytes, path: Path) -> RecordT:
    try:
        return adapter.validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the whole file"
        raise BrokenRun(
            f"{path} cannot be read: {place}: {first['msg']}",
            hint="the file was edited or is from another version; restore it or run again",
        ) from error


def _check_schema(found: int, known: int, path: Path) -> None:
    if found > known:
        raise BrokenRun(
            f"{path} has schema {found}, this version reads up to {known}",
            hint="use the tfy-last9 version that wrote the run, or a newer one",
        )

"""Where the sandbox of one gate writes: a folder of its own, of which the journal is kept."""

from __future__ import annotations

import shutil
from pathlib import Path
from tempfile import mkdtemp
from typing import Self

from tfy_last9.adapters.runfolder.folder import RunFolder


class SandboxPlace:
    """Where the sandbox writes while it runs; its journal moves into the run folder at the end."""

    def __init__(self, out: Path) -> None:
        out.mkdir(parents=True, exist_ok=True)
        self.path = Path(mkdtemp(prefix=".sandbox-", dir=out))
        self.run: RunFolder | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Keep the journal alone: the other files hold the sandbox's keys."""
        journal = self.path / "journal.ndjson"
        if self.run is not None and journal.is_file():
            kept = self.run.path / "sandbox"
            kept.mkdir(exist_ok=True)
            journal.replace(kept / journal.name)
        shutil.rmtree(self.path, ignore_errors=True)

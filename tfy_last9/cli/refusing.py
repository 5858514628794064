"""What a gate refuses before anything is started or sent."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryFile

from tfy_last9.errors import ConfigurationError


def check_out(out: Path) -> None:
    """Make the folder for runs, before anything is sent. Raises `ConfigurationError` where that fails."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=out):
            pass
    except OSError as error:
        raise ConfigurationError(
            f"--out {out} cannot be written: {error.strerror}",
            hint="give a folder that exists or can be made, on a disk with room",
        ) from error


def refuse_outside_the_sandbox(given: Mapping[str, object]) -> None:
    """Refuse options that mean nothing to a real gateway; `given` maps them to their values."""
    for option, value in given.items():
        if value:
            raise ConfigurationError(f"{option} works in the sandbox only", hint="add --sandbox")

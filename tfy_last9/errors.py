"""What can go wrong, and the exit code each mishap ends the program with.

    TfyError                    23
    |- ConfigurationError       24   the user can mend it in a file, a flag or the environment
    |  |- FileProblems          24   one or more faults in YAML files, each with its place
    |  |- MissingSettings       24   no gateway or Last9 settings where they are needed
    |  |- CredentialRefused     24   a key or token was turned down before any load was sent
    |  `- Undecidable           24   a critical objective cannot be decided at the planned counts
    |- HarnessError             23   the harness or a back end failed; nothing is said about the SLOs
    |  |- BackendUnavailable    23   Last9 or the gateway did not answer
    |  |- Stopped               23   somebody ended a wait: never seen by users
    |  |- SandboxDied           23   a process of the sandbox ended on its own
    |  |- PortInUse             23   an address that was asked for is taken
    |  `- BrokenRun             23   a run folder that cannot be read
    |- NothingArrived           22   requests were answered, but no trace of them is in Last9
    `- Interrupted             130   the user stopped the run

A verdict that is not PASS is not an error: it is data, and its exit code comes from `ExitCode`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class ExitCode(IntEnum):
    """Process exit codes, chosen not to collide with Locust 1-3, argparse 2, k6 97-110, shells 126+."""

    PASS = 0
    FAIL = 20
    INCONCLUSIVE = 21
    NO_DATA = 22
    ERROR = 23
    CONFIGURATION = 24
    INTERRUPTED = 130


class TfyError(Exception):
    """Root of this package's errors; `hint` says what to do next."""

    exit_code = ExitCode.ERROR

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class ConfigurationError(TfyError):
    """Something the user can mend before any load is sent."""

    exit_code = ExitCode.CONFIGURATION


@dataclass(frozen=True, slots=True)
class FileProblem:
    """One fault in a file: where it is, what was seen and expected, and what to do."""

    path: str
    line: int
    """1-based; 0 when the whole file is meant."""
    column: int
    message: str
    suggestion: str | None = None

    def __str__(self) -> str:
        place = f"{self.path}:{self.line}:{self.column}" if self.line else self.path
        return f"{place}: {self.message}" + (f" ({self.suggestion})" if self.suggestion else "")


class FileProblems(ConfigurationError):
    """One or more faults in scenario or SLO files; all of them are reported at once."""

    def __init__(self, problems: tuple[FileProblem, ...]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


class MissingSettings(ConfigurationError):
    """Settings that the command needs are in neither the flags, the environment nor `.env`."""


class CredentialRefused(ConfigurationError):
    """The gateway or Last9 turned a key or token down before load was sent."""


class Undecidable(ConfigurationError):
    """A critical objective cannot reach PASS at the planned request counts."""


class HarnessError(TfyError):
    """The harness or a back end failed, so nothing can be said about the objectives."""


class BackendUnavailable(HarnessError):
    """Last9 or the gateway could not be reached or kept answering with errors."""


class Stopped(HarnessError):
    """Somebody ended the work while it was waiting."""


class SandboxDied(HarnessError):
    """A process of the embedded sandbox ended although nobody stopped it."""


class PortInUse(HarnessError):
    """An address that was asked for is already bound."""


class BrokenRun(HarnessError):
    """A run folder that lacks something the command needs."""


class NothingArrived(TfyError):
    """The gateway answered, but none of the traces it announced reached Last9."""

    exit_code = ExitCode.NO_DATA


class Interrupted(TfyError):
    """The user stopped the run; what was recorded is kept."""

    exit_code = ExitCode.INTERRUPTED

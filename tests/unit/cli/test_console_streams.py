"""The console over streams that misbehave, and what the command line does with its own faults."""

import io
import os
from pathlib import Path

import pytest

from tfy_last9.cli import main as command_line
from tfy_last9.cli.console import Console, fitting


class LeftPipe(io.StringIO):
    """A pipe whose reader went away."""

    encoding = "utf-8"

    def __init__(self, file):
        super().__init__()
        self._file = file

    def write(self, _):
        raise BrokenPipeError

    def fileno(self):
        return self._file.fileno()


@pytest.fixture
def left(tmp_path):
    with (tmp_path / "pipe").open("wb") as file:
        yield LeftPipe(file)


def test_a_reader_that_left_does_not_end_the_run(monkeypatch, left):
    """`gate ... | head -1` must still exit with the verdict's code, not with 130."""
    monkeypatch.setattr("sys.stdout", left)
    monkeypatch.setattr("sys.stderr", left)
    console = Console()
    console.say("loading")
    console.result("PASS")
    assert os.fstat(left.fileno()).st_rdev == Path(os.devnull).stat().st_rdev


def test_closed_streams_end_nothing(monkeypatch):
    """Python has no stream at all after `>&-`."""
    monkeypatch.setattr("sys.stdout", None)
    monkeypatch.setattr("sys.stderr", None)
    console = Console()
    console.tick("loading")
    console.result("PASS")


def test_what_a_terminal_cannot_show_is_replaced(monkeypatch):
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr("sys.stdout", stream)
    Console().result("débit €")
    stream.seek(0)
    assert stream.read() == "d?bit ?\n"


def test_a_line_that_is_rewritten_never_wraps(monkeypatch):
    """A wrapped line leaves its first half on the screen each time it is rewritten."""
    monkeypatch.setenv("COLUMNS", "20")
    assert fitting("x" * 19) == "x" * 19
    assert fitting("x" * 50) == "x" * 18 + "…"


def test_an_internal_fault_ends_with_the_code_of_an_error(monkeypatch, capsys):
    """A bare traceback would end with 1, which is no code of ours."""

    def fail():
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr(command_line, "app", fail)
    monkeypatch.setattr("signal.signal", lambda *_: None)
    with pytest.raises(SystemExit) as ended:
        command_line.main()
    assert ended.value.code == 23
    told = capsys.readouterr().err
    assert told.startswith("error: internal fault, nothing was decided: ZeroDivisionError: by zero")
    assert "report it" in told

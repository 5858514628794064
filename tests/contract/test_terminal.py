"""`gate` on a real terminal: a panel while it waits, and Ctrl-C once and twice.

Both runs are started together: they mostly wait. The terminal is a pseudo-terminal that the gate controls,
so that Ctrl-C reaches its whole process group, as at a keyboard.
"""

import fcntl
import json
import os
import pty
import subprocess
import termios
import threading
from contextlib import suppress

import gating
import pytest

pytestmark = [pytest.mark.contract, pytest.mark.xdist_group("terminal")]

CTRL_C = b"\x03"
LATE = ("openai=3s", "anthropic=3s", "gemini=3s")
SLOW = (
    *(part for one in LATE for part in ("--fault", f"provider_latency:{one}")),
    *("--rate", "20/s", "--duration", "60s"),
)


class TerminalRun:
    """A gate on a pseudo-terminal, and everything it wrote there."""

    def __init__(self, folder, *arguments):
        folder.mkdir()
        self._runs = folder / "runs"
        self._keyboard, terminal = pty.openpty()
        self._written = bytearray()
        command = ("gate", gating.SCENARIO, "--slo", gating.SLO, "--out", self._runs, "--sandbox")
        self._process = subprocess.Popen(
            gating.command(*command, *arguments),
            cwd=folder,
            env=gating.clean_environment(TERM="xterm-256color", COLUMNS="140", LINES="40"),
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 - one call, before exec
        )
        os.close(terminal)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def text(self):
        return self._written.decode(errors="replace")

    def _read(self):
        with suppress(OSError):  # the other end is closed
            while piece := os.read(self._keyboard, 65536):
                self._written += piece

    def until_shown(self, words):
        gating.wait_for(
            lambda: words in self.text or self._process.poll() is not None, 60, repr(words)
        )
        assert words in self.text, self.text

    def type(self, keys):
        os.write(self._keyboard, keys)

    def ended(self):
        code = self._process.wait(timeout=60)
        self._reader.join(timeout=10)
        os.close(self._keyboard)
        return gating.Outcome(code, self.text, self.text, self._runs)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("terminal")
    started = {name: TerminalRun(folder / name, *SLOW) for name in ("once", "twice")}
    for name in ("once", "twice"):
        started[name].until_shown("in flight")
        run_folder = next((folder / name / "runs").glob("2*"))
        progress = run_folder / ".work" / "progress.json"
        gating.wait_for(lambda path=progress: under_way(path) > 5, what="requests under way")
        started[name].type(CTRL_C)
        started[name].until_shown("Ctrl-C again stops now")
    started["twice"].type(CTRL_C)
    return {name: run.ended() for name, run in started.items()}


def under_way(path):
    return json.loads(path.read_bytes())["in_flight"] if path.is_file() else 0


def test_ctrl_c_once_waits_for_what_is_under_way(runs):
    run = runs["once"]
    assert run.code == 130, run.err
    assert run.manifest["ended"] == "interrupted"
    assert [worker["drained"] for worker in run.manifest["workers"]] == [True]
    assert run.ledger("DISTINCT outcome") == [("ok",)]
    assert run.verdict["state"] == "ERROR"
    assert (run.folder / "report.html").is_file()


def test_ctrl_c_twice_stops_at_once_and_keeps_the_folder(runs):
    run = runs["twice"]
    assert run.code == 130, run.err
    assert run.manifest["ended"] == "interrupted"
    assert not any(worker["drained"] for worker in run.manifest["workers"]), "it was waited for"
    assert run.verdict["state"] == "ERROR"
    assert (run.folder / "report.html").is_file()


def test_a_panel_shows_the_load_and_leaves_the_terminal_as_it_was(runs):
    for run in runs.values():
        for words in ("/s offered", "TTFT p50", "budget used", "anthropic", "s left"):
            assert words in run.out
        assert run.out.count("\x1b[?25l") == run.out.count("\x1b[?25h") > 0
        assert "Traceback" not in run.out
        assert "ERROR  short" in run.out.rpartition("\x1b[?25h")[2], "the answer is not drawn over"

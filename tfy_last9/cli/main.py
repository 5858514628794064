"""The `tfy-last9` command: arguments to use cases, errors to messages and exit codes."""

from __future__ import annotations

import signal
import sys
import traceback
from types import FrameType
from typing import NoReturn

import typer

from tfy_last9.cli.baseline import keep_run
from tfy_last9.cli.console import Console
from tfy_last9.cli.crew import worker
from tfy_last9.cli.exporting import export
from tfy_last9.cli.from_last9 import app as scenarios
from tfy_last9.cli.gate_command import gate
from tfy_last9.cli.preparing_commands import doctor, lint, plan, sandbox
from tfy_last9.cli.starting import init
from tfy_last9.cli.stored_commands import check, collect, compare, report, traces
from tfy_last9.errors import ExitCode, TfyError

app = typer.Typer(
    name="tfy-last9",
    help="Is this LLM gateway safe to release? Load it, read its traces back from Last9, and decide.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

FRAMEWORK_CODES: dict[object, ExitCode] = {1: ExitCode.INTERRUPTED, 2: ExitCode.CONFIGURATION}
"""What Typer exits with on its own: 1 after Ctrl-C, 2 for a command line it cannot read."""
INNERMOST = 6
"""Frames of an internal fault that are shown: the rest is the command line's own machinery."""

app.command()(init)
app.command()(gate)
app.command()(check)
app.command()(collect)
app.command()(report)
app.command()(doctor)
app.command()(traces)
app.command()(plan)
app.command()(compare)
app.command()(lint)
app.command()(sandbox)
app.command("keep")(keep_run)
app.command()(export)
app.command()(worker)
app.add_typer(scenarios, name="scenario")


def main() -> NoReturn:
    """Run the command line; every way out is a documented exit code."""
    signal.signal(signal.SIGTERM, _as_interrupt)
    console = Console()
    try:
        app()
    except SystemExit as ended:
        code = FRAMEWORK_CODES.get(ended.code, ended.code)
    except TfyError as error:
        console.error(error)
        code = error.exit_code
    except OSError as error:
        console.error(TfyError(f"{type(error).__name__}: {error}"))
        code = ExitCode.ERROR
    except Exception as error:  # noqa: BLE001 - a fault of ours must end with a documented code too
        console.error(_internal(error))
        code = ExitCode.ERROR
    sys.exit(code if isinstance(code, str | None) else int(code))


def _internal(error: Exception) -> TfyError:
    """Return what a bug report needs; nothing was decided, whatever was printed before."""
    frames = "".join(traceback.format_tb(error.__traceback__)[-INNERMOST:])
    return TfyError(
        f"internal fault, nothing was decided: {type(error).__name__}: {error}\n{frames}",
        hint="this is a bug of tfy-last9: report it with the lines above",
    )


def _as_interrupt(_: int, __: FrameType | None) -> NoReturn:
    """Treat SIGTERM (a cancelled CI job) like Ctrl-C: end in good order, keep what was recorded."""
    raise KeyboardInterrupt

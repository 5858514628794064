"""`init`: put the sample scenarios, SLO files and locustfiles here, and say what to edit first."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated

import typer

from tfy_last9.cli.console import Console
from tfy_last9.cli.from_last9 import first_scenario
from tfy_last9.errors import BrokenRun

PACKAGE = Path(__file__).parent.parent
SAMPLES = ("scenarios", "slo", "locustfiles")
NEXT = """\
next:
  1. rehearse, with no account and no cost:
     tfy-last9 gate scenarios/smoke.yaml --sandbox
  2. in scenarios/smoke.yaml, edit `targets:` to account/model names of your gateway,
     and `arrivals:` to a rate you are willing to pay for
  3. in slo/client.yaml and slo/traces.yaml, edit `value:` and `target:` of each objective
  4. see what a run would send, cost and be able to decide:
     tfy-last9 plan scenarios/smoke.yaml
  5. set TFY_GATEWAY_URL, TFY_API_KEY and LAST9_REFRESH_TOKEN (environment or .env), then:
     tfy-last9 doctor
     tfy-last9 gate scenarios/smoke.yaml"""
OWN = """
     or what your own clients send, with nothing to edit in it:
     tfy-last9 gate {path}"""


def init(
    folder: Annotated[Path, typer.Argument(help="Where to put them; made if need be.")] = Path(),
) -> None:
    """Copy sample scenarios, SLO files and locustfiles here; overwrite nothing; say what to edit.

    With LAST9_REFRESH_TOKEN set, also write scenarios/production.yaml: the last day's traffic, five minutes
    of it, for at most an expected dollar.

    Example: tfy-last9 init my-gate
    """
    console = Console()
    source = samples_root()
    for name in SAMPLES:
        for file in sorted((source / name).rglob("*")):
            if file.is_file() and file.suffix in {".yaml", ".py"}:
                copy = folder / file.relative_to(source)
                console.say(f"{_copied(file, copy)}  {copy}")
    own = folder / "scenarios" / "production.yaml"
    is_written = first_scenario(own, console)
    console.result(NEXT + (OWN.format(path=own) if is_written else ""))


def samples_root() -> Path:
    """Return where the samples are: inside an installed wheel, or the root of a checkout."""
    for root in (PACKAGE / "samples", PACKAGE.parent):
        if all((root / name).is_dir() for name in SAMPLES):
            return root
    raise BrokenRun(
        f"the samples are not in {PACKAGE}: the installation is incomplete",
        hint="install tfy-last9 again, from a wheel or a whole checkout",
    )


def _copied(file: Path, copy: Path) -> str:
    if copy.exists():
        return "kept  "
    copy.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(file, copy)
    return "wrote "

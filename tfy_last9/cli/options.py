"""Arguments and options that several commands take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

RunArgument = Annotated[Path, typer.Argument(help="Run folder, for example runs/20261123-...")]
OutOption = Annotated[Path, typer.Option("--out", help="Where run folders are made.")]
SloOption = Annotated[Path, typer.Option("--slo", help="OpenSLO file, or folder of them.")]
ScenarioArgument = Annotated[Path, typer.Argument(help="Scenario file.")]
GatewayConfigOption = Annotated[
    Path | None,
    typer.Option(help="YAML of the sandbox gateway: routes, limits, guardrails, export."),
]
GatewaySwitchOption = Annotated[
    list[str] | None,
    typer.Option(help="Sandbox gateway, for example target-shape=nested; repeatable."),
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Print the answer alone.")]
GitHubOption = Annotated[
    bool | None,
    typer.Option(
        "--github/--no-github",
        help="Annotations and step summary; default: where GITHUB_ACTIONS is true.",
    ),
]
BaselinesOption = Annotated[
    str | None,
    typer.Option(
        help="Where latest-pass looks: a folder, CI artifacts, s3://bucket/prefix; default: TFY_BASELINES,"
        " else beside the run."
    ),
]
ExportOption = Annotated[
    bool | None,
    typer.Option(
        "--export/--no-export",
        help="Send the run's own spans and metrics to Last9; default: LAST9_OTLP_EXPORT.",
    ),
]

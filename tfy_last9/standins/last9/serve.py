"""Process entry of the Last9 stand-in."""

from __future__ import annotations

import argparse
import gc
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from enum import Enum
from pathlib import Path

from google.protobuf.internal import api_implementation  # type: ignore[import-untyped] # no stubs

from tfy_last9.standins import lifeline, serving
from tfy_last9.standins.journal import Journal
from tfy_last9.standins.last9.app import Last9, Parts
from tfy_last9.standins.last9.settings import (
    DottedFields,
    GroupLimit,
    NumericAttributes,
    Settings,
    WindowEnd,
)
from tfy_last9.standins.last9.store import SpanStore, StoreInUse
from tfy_last9.standins.last9.tokens import Tokens, signing_key

CREDENTIAL = "SANDBOX_OTLP_AUTH"
EXIT_INVALID = 24
QUERY_THREADS = 2


def main(argv: list[str]) -> int:
    """Serve until SIGTERM, then write what is queued; the OTLP credential comes by environment."""
    options = _parser().parse_args(argv)
    credential = os.environ.get(CREDENTIAL, "")
    if not credential.startswith("Basic "):
        seen = "another scheme" if credential else "nothing"
        return _stop(f"{CREDENTIAL} must hold 'Basic <credential>', saw {seen}", EXIT_INVALID)
    if api_implementation.Type() != "upb":
        return _stop("protobuf runs in pure Python, 250 times too slow: reinstall it", EXIT_INVALID)
    if options.stdin_lifeline and lifeline.SWITCH not in os.environ:
        os.environ[lifeline.SWITCH] = "stdin"
        lifeline.hold()
    try:
        _serve(options, credential)
    except (serving.PortInUse, StoreInUse) as error:
        return _stop(str(error), serving.EXIT_ERROR)
    return 0


def _serve(options: argparse.Namespace, credential: str) -> None:
    listener = serving.bind(options.port)
    audience = f"{serving.HOST}:{listener.getsockname()[1]}"
    settings = _settings(options)
    directory: Path | None = options.data
    if directory:
        directory.mkdir(parents=True, exist_ok=True)
    tokens = Tokens(
        signing_key(directory),
        audience,
        settings.organization,
        settings.token_lifetime_s,
        clock=time.time,
    )
    store = SpanStore(directory / "spans.duckdb" if directory else None)
    try:
        with (
            Journal(options.journal, "last9") as journal,
            ThreadPoolExecutor(QUERY_THREADS) as pool,
        ):
            app = Last9(Parts(settings, tokens, store, journal, pool, audience, credential))
            serving.serve(app, listener, refresh_token=tokens.refresh_token())
    finally:
        store.close()
        # Frozen objects are never freed, which DuckDB's binding reports as leaks at exit.
        gc.unfreeze()


def _settings(options: argparse.Namespace) -> Settings:
    return Settings(
        organization=options.organization,
        region=options.region,
        default_limit=options.default_limit,
        max_limit=options.max_limit,
        token_lifetime_s=options.token_lifetime_s,
        numeric_attributes=options.numeric_attributes,
        group_limit=options.group_limit,
        window_end=options.window_end,
        dotted_fields=options.dotted_fields,
    )


def _parser() -> argparse.ArgumentParser:
    default = Settings()
    parser = argparse.ArgumentParser(prog="last9")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--journal", type=Path, required=True)
    parser.add_argument("--data", type=Path, help="keep spans and keys here; default: in memory")
    parser.add_argument("--stdin-lifeline", action="store_true", help="end when stdin ends")
    parser.add_argument("--organization", default=default.organization)
    parser.add_argument("--region", default=default.region)
    parser.add_argument("--default-limit", type=int, default=default.default_limit)
    parser.add_argument("--max-limit", type=int, default=default.max_limit)
    parser.add_argument("--token-lifetime-s", type=int, default=default.token_lifetime_s)
    _add_switch(parser, "--numeric-attributes", default.numeric_attributes)
    _add_switch(parser, "--group-limit", default.group_limit)
    _add_switch(parser, "--window-end", default.window_end)
    _add_switch(parser, "--dotted-fields", default.dotted_fields)
    return parser


def _add_switch(
    parser: argparse.ArgumentParser,
    flag: str,
    default: NumericAttributes | GroupLimit | WindowEnd | DottedFields,
) -> None:
    states: type[Enum] = type(default)
    spelled = "|".join(str(state.value) for state in states)
    parser.add_argument(flag, type=states, default=default, metavar=spelled)


def _stop(message: str, exit_code: int) -> int:
    sys.stderr.write(f"{message}\n")
    return exit_code

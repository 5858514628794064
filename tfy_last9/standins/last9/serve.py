"""Process entry of the Last9 stand-in."""

from __future__ import annotations

import argparse
import gc
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from google.protobuf.internal import api_implementation  # type: ignore[import-untyped] # no stubs

from tfy_last9.standins import lifeline, serving
from tfy_last9.standins.faults import parse
from tfy_last9.standins.journal import Journal
from tfy_last9.standins.last9.app import Last9, Parts
from tfy_last9.standins.last9.disturbance import Disturbance
from tfy_last9.standins.last9.flags import add_flags, parsed, settings_from
from tfy_last9.standins.last9.store import FILE_NAME, SpanStore, StoreInUse
from tfy_last9.standins.last9.tokens import Statuses, Tokens, signing_key

CREDENTIAL = "SANDBOX_OTLP_AUTH"
API_KEY = "SANDBOX_API_KEY"
EXIT_INVALID = 24
QUERY_THREADS = 2
YOUNG_OBJECTS = 200_000
"""Allocations between two collections: rows hold no cycles, and looking for some costs a tenth."""


def main(argv: list[str]) -> int:
    """Serve until SIGTERM, then write what is queued; the OTLP credential comes by environment."""
    options = parsed(_parser(), argv)
    credential = os.environ.get(CREDENTIAL, "")
    if not credential.startswith("Basic "):
        seen = "another scheme" if credential else "nothing"
        return _stop(f"{CREDENTIAL} must hold 'Basic <credential>', saw {seen}", EXIT_INVALID)
    if api_implementation.Type() != "upb":
        return _stop("protobuf runs in pure Python, 250 times too slow: reinstall it", EXIT_INVALID)
    if options.stdin_lifeline and lifeline.SWITCH not in os.environ:
        os.environ[lifeline.SWITCH] = "stdin"
        lifeline.hold()
    gc.set_threshold(YOUNG_OBJECTS, 10, 100)
    try:
        _serve(options, credential)
    except (serving.PortInUse, StoreInUse) as error:
        return _stop(str(error), serving.EXIT_ERROR)
    return 0


def _serve(options: argparse.Namespace, credential: str) -> None:
    listener = serving.bind(options.port)
    audience = f"{serving.HOST}:{listener.getsockname()[1]}"
    settings, directory = settings_from(options), options.data
    if directory:
        directory.mkdir(parents=True, exist_ok=True)
    tokens = Tokens(
        signing_key(directory),
        audience,
        settings.organization,
        settings.token_lifetime_s,
        clock=time.time,
        statuses=Statuses(settings.expired_status, settings.bad_refresh_status),
    )
    store = SpanStore(directory / FILE_NAME if directory else None)
    try:
        with (
            Journal(options.journal, "last9") as journal,
            ThreadPoolExecutor(QUERY_THREADS) as pool,
        ):
            disturbance = Disturbance(settings, journal, options.seed, time.time)
            disturbance.replace(map(parse, options.faults))
            url = f"{'https' if options.certificate else 'http'}://{audience}"
            key = os.environ.get(API_KEY, "")
            parts = Parts(
                *(settings, tokens, store, journal, pool, url, credential),
                *(disturbance, time.time, key),
            )
            token = tokens.refresh_token(settings.token_scopes)
            serving.serve(Last9(parts), listener, options.certificate, refresh_token=token)
    finally:
        store.close()
        # Frozen objects are never freed, which DuckDB's binding reports as leaks at exit.
        gc.unfreeze()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="last9", usage=argparse.SUPPRESS, allow_abbrev=False)
    add = parser.add_argument
    add("--port", type=int, default=0)
    add("--journal", type=Path, required=True)
    add("--data", type=Path, help="keep spans and keys here; default: in memory")
    add("--seed", type=int, default=0)
    add("--fault", action="append", default=[], dest="faults")
    add("--certificate", type=Path, help="PEM file with certificate and key: serve TLS")
    add("--stdin-lifeline", action="store_true", help="end when stdin ends")
    add_flags(parser)
    return parser


def _stop(message: str, exit_code: int) -> int:
    sys.stderr.write(f"{message}\n")
    return exit_code

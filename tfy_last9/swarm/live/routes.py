"""Hangs the tabs and the page into Locust's Flask app, and checks what a start form asks for."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from http import HTTPStatus
from importlib import resources
from typing import Any

import gevent
import orjson

from tfy_last9.errors import TfyError
from tfy_last9.swarm.choices import BASELINE, NONE, SCENARIO, SLO, Choices, asked
from tfy_last9.swarm.live.state import document
from tfy_last9.swarm.live.tabs import TABLES, TABS, tables
from tfy_last9.swarm.runs import Runs

PAGE = "/tfy"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
REPORT_POLICY = "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
"""The report brings a policy of its own, with the hashes of its style and script."""
_ASSETS = {
    "live.css": (__package__, "live.css", "text/css"),
    "live.js": (__package__, "live.js", "text/javascript"),
    "charts.js": (__package__, "charts.js", "text/javascript"),
    "icon.svg": (__package__, "icon.svg", "image/svg+xml"),
    "report.css": ("tfy_last9.reports.html", "style.css", "text/css"),
}
"""What the page loads, by name: nothing else is served."""


def install_live(environment: Any, web_ui: Any, runs: Runs, offered: Callable[[], Choices]) -> None:
    """Add the SLO tabs, the page, and the pickers' check; `runs` keeps numbers from now on."""
    runs.watched = True
    base = (environment.parsed_options.web_base_path or "").rstrip("/")
    web_ui.template_args |= {
        "extended_tabs": list(TABS),
        "extended_tables": list(TABLES),
        "extended_csv_files": [
            {"href": f"{base}{PAGE}", "title": "Live page: charts, settling, verdict, report"}
        ],
    }
    _fill_tabs(web_ui, runs, f"{base}/stats/requests")
    _check_starts(environment, web_ui, runs, offered, f"{base}/swarm")
    _add_page(environment, web_ui, runs, base)


def _fill_tabs(web_ui: Any, runs: Runs, path: str) -> None:
    from flask import request  # noqa: PLC0415 - only processes with a web UI have an app

    def extend(response: Any) -> Any:
        newest = runs.newest
        if request.path != path or not response.is_json or response.status_code != HTTPStatus.OK:
            return response  # without a login it is a redirection, which must learn nothing
        if newest is not None and newest.run.live is not None:
            report = orjson.loads(response.get_data())
            report["extended_stats"] = tables(newest.run.live)
            response.set_data(orjson.dumps(report))
        return response

    web_ui.app.after_request(extend)


def _check_starts(
    environment: Any, web_ui: Any, runs: Runs, offered: Callable[[], Choices], path: str
) -> None:
    """Refuse what the pickers did not offer, and files with faults, before anything is sent."""
    from flask import jsonify, request  # noqa: PLC0415 - see above

    def check() -> Any:
        if request.method != "POST" or request.path != path or not _may_start(web_ui):
            return None  # Locust itself answers who is not logged in
        try:
            choice = asked(offered(), request.form, environment.parsed_options)
            runs.check(choice)
        except TfyError as error:
            hint = f" ({error.hint})" if error.hint else ""
            message = f"{error.message}{hint}"
            return jsonify({"success": False, "message": message, "host": environment.host})
        # Locust keeps the type of an option it knows, and forgets one it does not.
        options = environment.parsed_options
        setattr(options, SCENARIO, str(choice.scenario))
        setattr(options, SLO, str(choice.slo))
        setattr(options, BASELINE, choice.baseline or NONE)
        return None

    web_ui.app.before_request(check)


def _may_start(web_ui: Any) -> bool:
    if not web_ui.web_login:
        return True
    from flask_login import current_user  # type: ignore[import-untyped]  # noqa: PLC0415 - no annotations

    return bool(current_user.is_authenticated)


def _add_page(environment: Any, web_ui: Any, runs: Runs, base: str) -> None:
    from flask import Blueprint, Response, abort  # noqa: PLC0415 - see above

    pages = Blueprint("tfy", __name__, url_prefix=base or None)

    def answer(body: bytes, kind: str, policy: str = POLICY) -> Any:
        response = Response(body, mimetype=kind)
        response.headers["Content-Security-Policy"] = policy
        response.headers["Cache-Control"] = "no-store"
        return response

    def page() -> Any:
        return answer(_asset(__package__, "page.html"), "text/html")

    def state() -> Any:
        is_stopping = environment.runner.state in {"stopping", "stopped", "cleanup"}
        found = document(runs.entries.values(), is_stopping=is_stopping)
        return answer(orjson.dumps(found), "application/json")

    def asset(name: str) -> Any:
        if name not in _ASSETS:
            abort(404)
        package, file, kind = _ASSETS[name]
        return answer(_asset(package, file), kind)

    def report(run_id: str) -> Any:
        entry = runs.entries.get(run_id)  # a run of this process, looked up: never a path
        if entry is None:
            abort(404, description="this process made no such run")
        path = entry.run.folder.path / "report.html"
        if not path.is_file():
            abort(404, description="this run has no report yet")
        body = gevent.get_hub().threadpool.apply(path.read_bytes)
        return answer(body, "text/html", REPORT_POLICY)

    views: dict[str, Callable[..., Any]] = {
        PAGE: page,
        f"{PAGE}/state": state,
        f"{PAGE}/assets/<name>": asset,
        f"{PAGE}/runs/<run_id>/report.html": report,
    }
    for rule, view in views.items():
        pages.add_url_rule(rule, view_func=web_ui.auth_required_if_enabled(view))
    web_ui.app.register_blueprint(pages)


@cache
def _asset(package: str, name: str) -> bytes:
    return resources.files(package).joinpath(name).read_bytes()

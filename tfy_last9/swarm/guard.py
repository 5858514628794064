"""Guards Locust's web UI, which is unauthenticated, answers any Origin and takes cross-site posts.

Sources: locust/web.py (flask_cors on the whole app; `host` taken from the form). Rules: loopback unless
a login is configured, no request under a foreign Host (DNS rebinding), no state change from a foreign
Origin, and no `host` typed into the form: the gateway comes from the settings alone.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from tfy_last9.adapters.environment import is_loopback
from tfy_last9.errors import ConfigurationError


def check_binding(web_host: str, *, has_login: bool) -> None:
    """Refuse to serve the UI to a network without a login."""
    if has_login or (web_host and is_loopback(web_host)):
        return
    raise ConfigurationError(
        f"the web UI would listen on {web_host or 'every interface'} without a login",
        hint="leave --web-host at 127.0.0.1, or configure --web-login",
    )


def refusal(
    method: str, host: str, origin: str | None, form_host: str | None, gateway: str
) -> str | None:
    """Return why a request to the UI is refused, or None if it may pass."""
    served = urlsplit(f"//{host}").hostname or ""
    if not is_loopback(served):
        return f"unknown Host {served!r}"
    if method not in {"GET", "HEAD", "OPTIONS"} and origin and urlsplit(origin).netloc != host:
        return f"cross-origin request from {origin!r}"
    if form_host and form_host.rstrip("/") != gateway:
        return f"load may only go to {gateway}, which the settings name"
    return None


def protect(web_ui: Any, gateway: str, *, has_login: bool) -> None:
    """Install the rules on the UI's Flask app."""
    from flask import abort, request  # noqa: PLC0415 - only processes with a web UI have an app to guard

    def check() -> None:
        origin = request.headers.get("Origin")
        form_host = request.form.get("host") if request.method == "POST" else None
        reason = refusal(request.method, request.host, origin, form_host, gateway)
        if reason is not None and not (has_login and reason.startswith("unknown Host")):
            abort(403, description=reason)

    web_ui.app.before_request(check)

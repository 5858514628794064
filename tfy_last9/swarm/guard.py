"""Guards Locust's web UI, which is unauthenticated, answers any Origin and takes cross-site posts.

Sources: locust/web.py (flask_cors on the whole app; `host` taken from the form; `GET /stats/reset`
changes state). Rules: loopback unless a login is configured, nothing under a foreign Host (DNS
rebinding), nothing for a foreign Origin, nothing in a frame, and no `host` typed into the form: the
gateway comes from the settings alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from tfy_last9.adapters.environment import is_loopback
from tfy_last9.errors import ConfigurationError

SAFE_METHODS = frozenset({"GET", "HEAD"})
OWN_SITES = frozenset({"", "none", "same-origin"})
"""Values of `Sec-Fetch-Site` for what people type and what our own pages ask for; "" from old browsers."""
HEADERS = {
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}


@dataclass(frozen=True, slots=True)
class Visit:
    """What is known of a request to the UI."""

    method: str
    path: str
    host: str
    """The header: name and port."""
    origin: str | None = None
    site: str = ""
    """`Sec-Fetch-Site`."""
    mode: str = ""
    """`Sec-Fetch-Mode`."""
    form_host: str | None = None
    """Where a start form wants load to go."""

    @property
    def is_foreign(self) -> bool:
        """Tell whether another site asks: by its Origin, or as the browser says."""
        if self.origin and urlsplit(self.origin).netloc != self.host:
            return True
        is_link = self.mode == "navigate" and self.method in SAFE_METHODS
        is_harmless = is_link and not self.path.endswith("/reset")
        return self.site not in OWN_SITES and not is_harmless


def check_binding(web_host: str, *, has_login: bool) -> None:
    """Refuse to serve the UI to a network without a login."""
    if has_login or (web_host and is_loopback(web_host)):
        return
    raise ConfigurationError(
        f"the web UI would listen on {web_host or 'every interface'} without a login",
        hint="leave --web-host at 127.0.0.1, or configure --web-login",
    )


def refusal(visit: Visit, gateway: str, *, has_login: bool) -> str | None:
    """Return why a request to the UI is refused, or None if it may pass."""
    served = urlsplit(f"//{visit.host}").hostname or ""
    if not has_login and not is_loopback(served):
        return f"unknown Host {served!r}"
    if visit.is_foreign:
        return f"cross-origin request from {visit.origin or visit.site!r}"
    if visit.form_host and visit.form_host.rstrip("/") != gateway:
        return f"load may only go to {gateway}, which the settings name"
    return None


def protect(web_ui: Any, gateway: str, *, has_login: bool) -> None:
    """Install the rules on the UI's Flask app."""
    from flask import abort, request  # noqa: PLC0415 - only processes with a web UI have an app to guard

    def check() -> None:
        visit = Visit(
            method=request.method,
            path=request.path,
            host=request.host,
            origin=request.headers.get("Origin"),
            site=request.headers.get("Sec-Fetch-Site", ""),
            mode=request.headers.get("Sec-Fetch-Mode", ""),
            form_host=request.form.get("host") if request.method == "POST" else None,
        )
        reason = refusal(visit, gateway, has_login=has_login)
        if reason is not None:
            abort(403, description=reason)

    def harden(response: Any) -> Any:
        for name in [name for name in response.headers.keys() if name.startswith("Access-Control")]:  # noqa: SIM118 - werkzeug's headers are pairs
            del response.headers[name]
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        return response

    web_ui.app.before_request(check)
    # First in the list is called last: after flask_cors, which lets any origin read everything.
    web_ui.app.after_request_funcs.setdefault(None, []).insert(0, harden)

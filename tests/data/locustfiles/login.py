"""The chat locustfile behind Locust's `--web-login`, with one user whose password is in the environment."""

import os
from hmac import compare_digest
from secrets import token_hex

from flask import Blueprint, redirect, request, url_for
from flask_login import UserMixin, login_user
from locust import events, task

from tfy_last9.swarm import ScenarioUser, install

install()


class ChatUser(ScenarioUser):
    """One concurrent request slot."""

    @task
    def chat(self) -> None:
        """Send the next due request."""
        self.send(self.next_arrival())


class Person(UserMixin):
    """Whoever knows the password."""

    id = "person"


@events.init.add_listener
def require_login(environment, web_ui, **_):
    """Set up flask-login as Locust's documentation shows."""
    if web_ui is None:
        return
    base = environment.parsed_options.web_base_path or ""
    web_ui.app.config["SECRET_KEY"] = token_hex(32)
    web_ui.login_manager.user_loader(lambda name: Person() if name == Person.id else None)
    web_ui.auth_args = {"username_password_callback": f"{base}/login_submit"}
    pages = Blueprint("login", __name__, url_prefix=base or None)

    @pages.route("/login_submit", methods=["POST"])
    def submit():
        if not compare_digest(request.form["password"], os.environ["UI_PASSWORD"]):
            return redirect(url_for("locust.login"))
        login_user(Person())
        return redirect(url_for("locust.index"))

    web_ui.app.register_blueprint(pages)

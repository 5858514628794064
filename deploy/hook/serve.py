"""A small HTTP service that starts a gate and answers how it went: for Argo Rollouts and Flagger.

Both call a URL and cannot wait for minutes. So a call starts the run if nobody has, and answers at once;
they call again until it is decided. A run id makes it one run, whatever is called how often, also after
a restart (`gate --run-id` finishes what it finds).

    POST /runs/<id>        start, or ask: 503 while it runs, then 200 {"exit_code": .., "state": ..}
    GET  /runs/<id>        ask only: also 404 where nobody started it
    POST /flagger/promote  200 only for PASS or WARN, else 503: hold
    POST /flagger/rollback 200 only for a proven FAIL, else 503: do not

The caller chooses an id and nothing else: scenario and options are this process's command line:

    python serve.py scenarios/smoke.yaml --out /runs
"""

import json
import re
import signal
import subprocess
import sys
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
STATES = {0: "PASS", 20: "FAIL", 21: "INCONCLUSIVE", 22: "NO_DATA", 24: "CONFIGURATION"}
"""Exit 0 is PASS or WARN; whatever is not here is ERROR: nothing is known about the canary."""
MOST_BYTES = 65_536


class Gates:
    """Runs by id, one at a time: two at once would measure each other."""

    def __init__(self, command: list[str], *, most: int = 50) -> None:
        self._command = command
        self._most = most
        self._lock = threading.Lock()
        self._runs: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, run_id: str) -> None:
        """Start a run unless it is known; raise `RuntimeError` when it has to wait."""
        with self._lock:
            if run_id in self._runs:
                return
            if any(process.poll() is None for process in self._runs.values()):
                raise RuntimeError("another gate is running")
            if len(self._runs) >= self._most:
                raise RuntimeError(f"{self._most} gates were run; restart to allow more")
            command = [*self._command, f"--run-id={run_id}"]
            self._runs[run_id] = subprocess.Popen(command)  # noqa: S603 - our own command line

    def exit_code(self, run_id: str) -> int | None:
        """Return the exit code, None while it runs; raise `KeyError` for an unknown run."""
        return self._runs[run_id].poll()

    def stop(self) -> None:
        """End what runs; it keeps what was recorded."""
        for process in self._runs.values():
            if process.poll() is None:
                process.terminate()
                process.wait(timeout=120)


class Hook(BaseHTTPRequestHandler):
    """One request."""

    gates: Gates
    timeout = 10

    def do_GET(self) -> None:
        """Answer health checks, and how a run goes."""
        if self.path == "/healthz":
            self._answer(HTTPStatus.OK, {})
        elif (run_id := self._run_id()) is not None:
            self._tell(run_id)

    def do_POST(self) -> None:
        """Start a run if need be, and answer how it goes."""
        body = self.rfile.read(min(int(self.headers.get("Content-Length") or 0), MOST_BYTES))
        wanted = {"/flagger/promote": 0, "/flagger/rollback": 20}.get(self.path)
        run_id = self._run_id() if wanted is None else self._flagger_id(body)
        if run_id is None:
            return
        if self.path != "/flagger/rollback":  # asking whether to roll back must not cost anything
            try:
                self.gates.start(run_id)
            except RuntimeError as error:
                self._answer(
                    HTTPStatus.SERVICE_UNAVAILABLE, {"state": "WAITING", "why": str(error)}
                )
                return
        self._tell(run_id, wanted)

    def _tell(self, run_id: str, wanted: int | None = None) -> None:
        try:
            code = self.gates.exit_code(run_id)
        except KeyError:
            status = HTTPStatus.NOT_FOUND if wanted is None else HTTPStatus.SERVICE_UNAVAILABLE
            self._answer(status, {"run_id": run_id, "state": "UNKNOWN"})
            return
        if code is None:
            self._answer(HTTPStatus.SERVICE_UNAVAILABLE, {"run_id": run_id, "state": "RUNNING"})
            return
        said = {"run_id": run_id, "exit_code": code, "state": STATES.get(code, "ERROR")}
        holds = wanted is not None and code != wanted
        self._answer(HTTPStatus.SERVICE_UNAVAILABLE if holds else HTTPStatus.OK, said)

    def _run_id(self) -> str | None:
        name = self.path.removeprefix("/runs/")
        if name != self.path and RUN_ID.fullmatch(name):
            return name
        self._answer(HTTPStatus.NOT_FOUND, {"why": "POST /runs/<id>"})
        return None

    def _flagger_id(self, body: bytes) -> str | None:
        """Return an id per canary revision: Flagger sends its name, namespace and checksum."""
        try:
            data = json.loads(body)
            name = "-".join(str(data[key]) for key in ("namespace", "name", "checksum"))
        except (ValueError, TypeError, KeyError):
            name = ""
        if RUN_ID.fullmatch(name):
            return name
        self._answer(HTTPStatus.BAD_REQUEST, {"why": "expected namespace, name and checksum"})
        return None

    def _answer(self, status: HTTPStatus, body: dict[str, object]) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def make_server(gates: Gates, host: str, port: int) -> ThreadingHTTPServer:
    """Return the server; the caller runs and closes it."""
    handler = type("BoundHook", (Hook,), {"gates": gates})
    return ThreadingHTTPServer((host, port), handler)


def main() -> None:
    """Serve on port 8080 of all interfaces: a Service and a NetworkPolicy decide who may call."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # process 1 would ignore it
    gates = Gates([str(Path(sys.executable).with_name("tfy-last9")), "gate", *sys.argv[1:]])
    server = make_server(gates, "0.0.0.0", 8080)  # noqa: S104 - inside a pod
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass
    finally:
        server.server_close()
        gates.stop()


if __name__ == "__main__":
    main()

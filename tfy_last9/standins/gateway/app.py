"""The gateway's HTTP surface: which endpoint a path is, and the life of one request from key to trace."""

from __future__ import annotations

import asyncio
import time

from tfy_last9.standins.asgi import (
    ClientLeft,
    ClientWatch,
    Receive,
    Scope,
    Send,
    header,
    read_body,
    send_bytes,
    send_json,
    write_now,
)
from tfy_last9.standins.gateway import (
    envelope,
    identifiers,
    listing,
    own_storage,
    request,
    toolcalls,
    toolchecks,
    unsupported,
)
from tfy_last9.standins.gateway.admission import admit
from tfy_last9.standins.gateway.client import Client
from tfy_last9.standins.gateway.endpoints import Endpoint, endpoint
from tfy_last9.standins.gateway.envelope import Rejection
from tfy_last9.standins.gateway.export import TraceExport
from tfy_last9.standins.gateway.fault_switch import FaultSwitch
from tfy_last9.standins.gateway.identity import Identities, Identity
from tfy_last9.standins.gateway.metrics import CONTENT_TYPE
from tfy_last9.standins.gateway.own_storage import OwnStorage
from tfy_last9.standins.gateway.paths import canonical
from tfy_last9.standins.gateway.pipeline import Pipeline, caller_of
from tfy_last9.standins.gateway.policies import Policies
from tfy_last9.standins.gateway.policy.config import Logging
from tfy_last9.standins.gateway.refusal import Refusals
from tfy_last9.standins.gateway.settings import Settings, UserAgents
from tfy_last9.standins.gateway.spans import spans_of
from tfy_last9.standins.gateway.story import OK, Story
from tfy_last9.standins.gateway.upstream import Upstream
from tfy_last9.standins.journal import Journal

NOT_FOUND = 404


class Gateway:
    """The ASGI app."""

    def __init__(
        self,
        settings: Settings,
        journal: Journal,
        upstream: Upstream,
        export: TraceExport,
        fault_switch: FaultSwitch,
        policies: Policies,
    ) -> None:
        self._settings = settings
        self._journal = journal
        self._upstream = upstream
        self._export = export
        self._fault_switch = fault_switch
        self._storage = OwnStorage(settings.api_key)
        self._identities = Identities(settings.api_key, settings.other_keys)
        self._policies = policies
        self._metrics = policies.metrics
        self._refusals = Refusals(settings)
        self._pipeline = Pipeline(settings, policies, self._refusals, upstream)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Dispatch by path."""
        path = canonical(scope["path"], self._settings.tenant)
        found = endpoint(path, scope["method"])
        if found is not None:
            await self._serve(found, scope, receive, send)
        elif path == "/":
            await send_json(send, OK, {"status": "ok"})
        elif scope["path"] == "/sandbox/faults":  # the tenant may have the same name
            await self._fault_switch.answer(scope, receive, send)
        elif path == own_storage.PATH and scope["method"] == "POST":
            await self._storage.answer(scope, receive, send)
        elif path == "/models" or path.startswith("/models/"):
            await listing.answer(path, scope, self._identities, self._policies.model_names, send)
        elif path == "/metrics":
            await send_bytes(send, CONTENT_TYPE, self._metrics.text())
        elif unsupported.is_missing(path):
            await unsupported.answer(path, scope, self._identities, send)
        else:
            refused = envelope.not_found(scope["method"], scope["path"])
            await send_json(send, NOT_FOUND, refused.document())

    async def _serve(self, found: Endpoint, scope: Scope, receive: Receive, send: Send) -> None:
        late = self._export.faults.strike("gateway_latency")
        if late is not None:  # before the gateway's own clock starts: no span knows of it
            await asyncio.sleep(late.delay_s or 0.0)
        story = self._begin(found, scope)
        hidden = self._export.faults.strike("missing_header") is not None
        client = Client(story, send, write_now(scope))
        try:
            raw = await read_body(receive)
            with ClientWatch(scope, receive, client.is_done) as watch:
                await self._answer(found, scope, raw, client, hidden=hidden)
            if watch.left:
                _left(story)
        except ClientLeft:
            _left(story)
        finally:
            self._finish(story, hidden=hidden)

    def _begin(self, found: Endpoint, scope: Scope) -> Story:
        received_ns, wall_ns = time.monotonic_ns(), time.time_ns()
        trace_id, parent = identifiers.trace_id(wall_ns), None
        if self._settings.honour_traceparent:
            ids = identifiers.read_traceparent(header(scope, b"traceparent"))
            trace_id, parent = ids or (trace_id, None)
        kind = self._refusals.root_kind(found.kind)
        span_id = identifiers.span_id()
        story = Story(trace_id, span_id, parent, received_ns, wall_ns - received_ns, kind)
        story.sends_ns = [] if self._settings.record_sends else None
        return story

    async def _answer(
        self, found: Endpoint, scope: Scope, raw: bytes, client: Client, *, hidden: bool
    ) -> None:
        story, target = client.story, () if hidden else self._refusals.target(client.story)
        try:
            identity = self._recognise(scope, story)
            client.headers = target
            if found.server is not None:
                story.requested_model = found.server
                toolcalls.open_server(identity, found.server)
                caller = caller_of((), identity, story.metadata)
                checks = toolchecks.checks(
                    self._policies.config, scope, found.server, caller, story
                )
                await toolcalls.relay(
                    scope, raw, found.server, story, self._upstream, client, checks
                )
            else:
                admitted = admit(found, scope, raw, story, identity, self._policies)
                faults = self._export.faults
                await self._pipeline.serve(admitted, scope, identity, client, faults)
        except Rejection as rejection:
            _refused(story, rejection)
            if client.started:
                story.status, story.outcome = OK, "stream_broken"
                await self._refusals.break_off(found, rejection, client)
            else:
                headers = target if self._refusals.names_trace(story) else ()
                await self._refusals.send(found, rejection, headers, client)

    def _recognise(self, scope: Scope, story: Story) -> Identity:
        if self._settings.user_agents is UserAgents.BROWSER:
            agent = header(scope, b"user-agent") or ""
            if not agent.startswith("Mozilla/"):
                story.wants_trace = False  # the gateway never saw it
                raise envelope.blocked()
        identity = self._identities.authenticate(scope)
        story.subject = identity.slug
        story.metadata = request.read_metadata(scope)
        wanted = request.wants_trace(scope)
        mode = self._policies.config.logging
        story.wants_trace = wanted if mode is Logging.HEADER else mode is Logging.ALWAYS
        return identity

    def _finish(self, story: Story, *, hidden: bool) -> None:
        story.finished_ns = time.monotonic_ns()
        missing = {"header": "missing"} if hidden else {}
        self._journal.write("request", **story.journal_fields(), **missing)
        self._metrics.told(story)
        if self._refusals.is_traced(story):
            self._storage.keep(story)
            self._export.submit(story)
        elif not story.wants_trace:
            spans = spans_of(story, self._settings)
            self._metrics.span_drops.labels("should_trace_false").inc(spans)
        elif story.subject is None:
            self._metrics.span_drops.labels("missing_created_by_subject_root").inc()


def _refused(story: Story, rejection: Rejection) -> None:
    story.status = rejection.status
    story.outcome = rejection.outcome
    story.error_message = rejection.message


def _left(story: Story) -> None:
    story.status, story.outcome = envelope.CLIENT_LEFT, "client_closed"
    story.error_message = "client closed the request"

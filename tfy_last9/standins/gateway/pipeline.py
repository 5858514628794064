"""The stages of one model request, in order: limits, budgets, guardrails, cache, route, model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from tfy_last9.standins.asgi import Header, Scope
from tfy_last9.standins.faults import FaultSet
from tfy_last9.standins.gateway import caching, guarding
from tfy_last9.standins.gateway.admission import Admission
from tfy_last9.standins.gateway.caching import STATUS, Answer, Lookup
from tfy_last9.standins.gateway.call import Call
from tfy_last9.standins.gateway.client import Client
from tfy_last9.standins.gateway.envelope import Rejection
from tfy_last9.standins.gateway.guarding import Checks
from tfy_last9.standins.gateway.identity import Identity
from tfy_last9.standins.gateway.policies import Policies, Ruling
from tfy_last9.standins.gateway.policy.cache import Kept
from tfy_last9.standins.gateway.policy.config import Caller
from tfy_last9.standins.gateway.refusal import Refusals
from tfy_last9.standins.gateway.settings import Passing, Settings
from tfy_last9.standins.gateway.story import Attempt
from tfy_last9.standins.gateway.switches import (
    CacheHitTree,
    RejectedSpans,
    StreamOutputGuardrails,
)
from tfy_last9.standins.gateway.upstream import Upstream

TEAMS = ("platform",)


class Pipeline:
    """Takes admitted requests through the stages."""

    def __init__(
        self, settings: Settings, policies: Policies, refusals: Refusals, upstream: Upstream
    ) -> None:
        self._settings = settings
        self._policies = policies
        self._refusals = refusals
        self._upstream = upstream

    async def serve(
        self,
        admitted: Admission,
        scope: Scope,
        identity: Identity,
        client: Client,
        faults: FaultSet,
    ) -> None:
        """Answer the client; raises Rejection."""
        story, model = client.story, admitted.request.model
        headers = scope["headers"] if self._policies.reads_headers else ()
        caller = caller_of(headers, identity, story.metadata)
        ruling = self._policies.ruling(admitted.request, caller, story)
        try:
            self._limit(admitted, ruling, client, faults)
            await self._guarded(admitted, scope, caller, client, faults, ruling)
        finally:
            if ruling is not None:
                ruling.close(model)

    def _limit(
        self, admitted: Admission, ruling: Ruling | None, client: Client, faults: FaultSet
    ) -> None:
        request, story = admitted.request, client.story
        try:
            if faults.strike("rate_limit") is not None:
                story.applied.rate_limits.append("sandbox-fault")
                raise self._refusals.rate_limited(request.model, "sandbox-fault")
            if ruling is not None:
                ruling.enter(request.model)
        except Rejection as rejection:
            if self._settings.rejected_spans is RejectedSpans.MODEL:
                path = admitted.format.path(request, request.targets[0].card)
                at_ns = story.received_ns
                refused = Attempt(request.targets[0].card, at_ns, path, at_ns, rejection.status)
                refused.error_message, refused.reached_provider = rejection.message, False
                story.attempts.append(refused)
            raise

    async def _guarded(
        self,
        admitted: Admission,
        scope: Scope,
        caller: Caller,
        client: Client,
        faults: FaultSet,
        ruling: Ruling | None,
    ) -> None:
        request, story = admitted.request, client.story
        checks = guarding.checks(self._policies.config, scope, request.model, caller, story)
        if checks is not None:
            request = replace(request, body=await checks.before(request.body))
            admitted = replace(admitted, request=request)
        lookup = caching.lookup(
            *(self._policies.cache, self._policies.similar, scope, request, story),
            admitted.format.kind.request_type,
        )
        beside = checks.beside(request.body) if checks is not None else None
        work = self._answer(admitted, client, faults, ruling, checks, lookup)
        await (work if beside is None else guarding.alongside(beside, work, client))

    async def _answer(
        self,
        admitted: Admission,
        client: Client,
        faults: FaultSet,
        ruling: Ruling | None,
        checks: Checks | None,
        lookup: Lookup | None,
    ) -> None:
        kept = lookup.find() if lookup is not None else None
        _tell_cache(client)
        if kept is not None:
            as_model = self._settings.cache_hit_tree is CacheHitTree.MODEL
            await caching.replay(_answer_of(kept), client, as_model_span=as_model)
            return
        request = admitted.request if ruling is None else ruling.route(admitted.request)
        hides = faults.strike("missing_tokens") is not None
        client.kept = [] if lookup is not None and request.streaming else None
        call = Call(
            *(client.story, request, admitted.format, self._upstream, client, ruling, checks),
            holds_streams=self._holds(checks),
            keeps=lookup is not None,
            reports_usage=not hides and self._settings.usage is Passing.ON,
            names_target=self._settings.resolved_model is Passing.ON,
            timeout_type=self._settings.timeout_type,
        )
        await call.serve()
        if lookup is not None and (request.streaming or call.document is not None):
            lookup.keep(client.kept, call.document)

    def _holds(self, checks: Checks | None) -> bool:
        buffers = self._settings.stream_output_guardrails is StreamOutputGuardrails.BUFFER
        return buffers and checks is not None and bool(checks.outputs)


def caller_of(headers: Iterable[Header], identity: Identity, metadata: Mapping[str, str]) -> Caller:
    """Give who asks, as rules see it."""
    named = {name.decode("latin-1"): value.decode("latin-1") for name, value in headers}
    return Caller(identity.slug, identity.kind, TEAMS, metadata, named)


def _answer_of(kept: Kept) -> Answer:
    answer = kept.content
    assert isinstance(answer, Answer)
    return answer


def _tell_cache(client: Client) -> None:
    applied = client.story.applied
    if applied.cache_status is None:
        return
    client.headers = (*client.headers, (STATUS, applied.cache_status.encode()))
    more = []
    if applied.cached_trace_id is not None:
        more.append((b"x-tfy-cached-trace-id", applied.cached_trace_id.encode()))
    if applied.cache_similarity is not None:
        score = f"{applied.cache_similarity:.4f}".encode()
        more.append((b"x-tfy-cache-similarity-score", score))
    client.headers = (*client.headers, *more)

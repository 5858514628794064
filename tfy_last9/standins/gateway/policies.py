"""What the configuration means for each request: limits, budgets, the route, and what is learnt from it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace

from tfy_last9.standins.faults import lot
from tfy_last9.standins.gateway import envelope
from tfy_last9.standins.gateway.catalogue import BY_NAME
from tfy_last9.standins.gateway.identity import Identity
from tfy_last9.standins.gateway.metrics import Metrics
from tfy_last9.standins.gateway.policy.budgets import Budgets
from tfy_last9.standins.gateway.policy.cache import Cache
from tfy_last9.standins.gateway.policy.config import Caller, Config, RateRule, Target, VirtualModel
from tfy_last9.standins.gateway.policy.health import TargetHealth
from tfy_last9.standins.gateway.policy.limits import RateLimiter
from tfy_last9.standins.gateway.policy.routing import Router
from tfy_last9.standins.gateway.policy.semantic import SemanticCache
from tfy_last9.standins.gateway.request import ModelRequest
from tfy_last9.standins.gateway.settings import Settings
from tfy_last9.standins.gateway.story import OK, Attempt, Story

PLAIN = {name: (Target(name),) for name in BY_NAME}
"""The one target of each real model."""


class Policies:
    """The rules in force and everything they have counted."""

    def __init__(self, config: Config, settings: Settings, metrics: Metrics) -> None:
        self.config = config
        self.settings = settings
        self.metrics = metrics
        self.health = TargetHealth(config.health)
        self.router = Router(self.health)
        self.limiter = RateLimiter(config.rate_rules)
        self.budgets = Budgets(config.budget_rules)
        self.cache = Cache()
        self.similar = SemanticCache()
        self._routed: dict[str, int] = {}
        self.reads_headers = any(model.sticky for model in config.virtual_models.values())
        """Whether any rule looks at request headers."""

    @property
    def model_names(self) -> tuple[str, ...]:
        """Everything a client can ask for."""
        return (*BY_NAME, *self.config.virtual_models)

    def candidates(self, identity: Identity, model: str) -> tuple[Target, ...]:
        """Find the targets that are open to a caller; raises the 403 if the model is unknown or closed."""
        virtual = self.config.virtual_models.get(model)
        targets = PLAIN.get(model, ()) if virtual is None else virtual.targets
        found = tuple(target for target in targets if identity.may_use(target.card.account))
        if not found:
            raise envelope.forbidden(identity.slug, model)
        return found

    def ruling(self, request: ModelRequest, caller: Caller, story: Story) -> Ruling | None:
        """Begin with a request; None when no rule can concern it."""
        virtual = self.config.virtual_models.get(request.model)
        limited = self.config.rate_rules or self.config.budget_rules
        if virtual is None and not limited:
            return None
        return Ruling(self, virtual, caller, story)

    def draw(self, model: str) -> float:
        """Draw the lot of the next request to a virtual model: of every 20, each twentieth comes once."""
        k = self._routed.get(model, 0)
        self._routed[model] = k + 1
        return lot(self.settings.seed, "weight", model, k)


@dataclass(slots=True)
class Ruling:
    """The rules and one request."""

    policies: Policies
    virtual: VirtualModel | None
    caller: Caller
    story: Story
    _counted: list[tuple[RateRule, str]] = field(default_factory=list)
    """Rules that count this request's tokens, and the model they count them for."""

    def enter(self, model: str) -> None:
        """Ask the limits and budgets of the model that was asked for; raises the 429."""
        started_ns = time.monotonic_ns()
        self.limit(model)
        limited_ns = time.monotonic_ns()
        self._spend(model)
        stages = self.story.applied.stages_ns
        if self.policies.limiter.rules:
            stages["rate_limit"] = limited_ns - started_ns
        if self.policies.budgets.rules:
            stages["budget"] = time.monotonic_ns() - limited_ns

    def limit(self, model: str) -> None:
        """Ask the rate limit of one model; raises the 429."""
        limiter, settings = self.policies.limiter, self.policies.settings
        rule = limiter.matching(self.caller, model)
        if rule is None:
            return
        self.story.applied.rate_limits.append(rule.id)
        self.policies.metrics.rate_limit_nominated.labels(rule.id).inc()
        if not limiter.admits(rule, self.caller, model, time.monotonic()):
            self.policies.metrics.rate_limit_applied.labels(rule.id).inc()
            level = settings.rate_limit_level or None
            raise envelope.rate_limited(model, rule.id, settings.rate_limit_type, level)
        self._counted.append((rule, model))

    def _spend(self, model: str) -> None:
        budgets, settings = self.policies.budgets, self.policies.settings
        matching = budgets.matching(self.caller, model)
        self.story.applied.budgets += [rule.id for rule in matching]
        for rule in matching:
            self.policies.metrics.budget_nominated.labels(rule.id).inc()
        if matching and not budgets.admits(matching[0], self.caller, model, time.time()):
            self.policies.metrics.budget_applied.labels(matching[0].id).inc()
            level = settings.budget_level or None
            raise envelope.over_budget(model, matching[0].id, settings.budget_type, level)

    def route(self, request: ModelRequest) -> ModelRequest:
        """Order the targets; raises the 403 if the request's metadata fits none."""
        virtual = self.virtual
        if virtual is None:
            return request
        started_ns = time.monotonic_ns()
        route = self.policies.router.route(
            virtual,
            (target.target for target in request.targets),
            self.caller,
            lambda: self.policies.draw(virtual.name),
            time.monotonic(),
        )
        if not route.targets:
            raise envelope.forbidden(self.caller.slug, request.model)
        applied = self.story.applied
        applied.virtual_model, applied.is_sticky = virtual.name, route.is_sticky
        applied.order = tuple(target.target for target in route.targets)
        applied.stages_ns["load_balancing"] = time.monotonic_ns() - started_ns
        self.policies.metrics.load_balanced.labels(virtual.name).inc()
        return replace(request, targets=route.targets)

    def before(self, target: Target) -> None:
        """Ask the limit of a target of a virtual model; a hit is a 429 that leads to a fallback."""
        if self.virtual is not None:
            self.limit(target.target)

    def after(self, attempt: Attempt) -> None:
        """Learn from a finished attempt."""
        if self.virtual is None or not attempt.reached_provider or attempt.is_aborted:
            return
        now_s, health = time.monotonic(), self.policies.health
        if attempt.status == OK and attempt.error_message is None:
            health.served(attempt.card.name, *_speed(attempt), now_s)
        elif attempt.status is not None:
            health.failed(attempt.card.name, attempt.status, now_s)

    def close(self, model: str) -> None:
        """Count what the whole request used."""
        tokens = {model: 0}
        usd = 0.0
        for attempt in self.story.attempts:
            used = (attempt.input_tokens or 0) + (attempt.output_tokens or 0)
            tokens[model] += used
            if attempt.card.name != model:
                tokens[attempt.card.name] = tokens.get(attempt.card.name, 0) + used
            usd += attempt.cost_usd or 0.0
        now_s, budgets = time.monotonic(), self.policies.budgets
        for rule, counted_for in self._counted:
            self.policies.limiter.spent(
                rule, self.caller, counted_for, tokens.get(counted_for, 0), now_s
            )
        wall_s = time.time()
        budgets.spent(self.caller, model, usd=usd, tokens=tokens[model], wall_s=wall_s)
        for budget in budgets.matching(self.caller, model):
            used_now = budgets.used(budget, self.caller, model, wall_s)
            self.policies.metrics.budget_usage.labels(budget.id).set(used_now)


def _speed(attempt: Attempt) -> tuple[float | None, float | None]:
    """Give time to first token and time per output token in ms, as far as there were any."""
    first_ns, last_ns = attempt.first_token_ns, attempt.last_token_ns
    if first_ns is None or last_ns is None:
        return None, None
    gaps = (attempt.output_tokens or attempt.content_events) - 1
    tpot_ms = (last_ns - first_ns) / gaps / 1e6 if gaps > 0 else None
    return (first_ns - attempt.started_ns) / 1e6, tpot_ms

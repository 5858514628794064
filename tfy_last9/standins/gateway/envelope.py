"""Refusals and failures in TrueFoundry's error envelope.

The envelope and the cases are those recorded from live replies: `status`, `message`, `error` with
`message`, `type` and the HTTP status as a string, `error_origin_level`, and `provider` only when the
provider failed. Where no reply is on record (400 of the gateway itself, 408) the texts are inferred.
"""

from __future__ import annotations

TIMED_OUT = 408
LIMITED = 429
CLIENT_LEFT = 499


class Rejection(Exception):
    """A request that ends without an answer of a model."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: str,
        outcome: str,
        level: str | None = None,
        provider: str | None = None,
        retry_after: str | None = None,
        applied: dict[str, object] | None = None,
        more: dict[str, object] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.kind = kind
        self.outcome = outcome
        """What the journal calls it."""
        self.level = level
        self.provider = provider
        self.retry_after = retry_after
        """`Retry-After` as the provider sent it; whether it is passed on is a switch."""
        self.applied = applied
        """Content of `x-tfy-applied-rules`: what rule refused the request."""
        self.more = more or {}
        """Further fields of the body."""

    def document(self) -> dict[str, object]:
        """Give the body of the answer; fields that are not on record for a case are left out."""
        body: dict[str, object] = {
            "status": "failure",
            "message": self.message,
            "error": {"message": self.message, "type": self.kind, "code": str(self.status)},
        }
        if self.level is not None:
            body["error_origin_level"] = self.level
        if self.provider is not None:
            body["provider"] = self.provider
        return body | self.more


class TooSlow(Rejection):
    """A 408 because no token came in time, which leads to a fallback whatever the codes say."""


class Blocked(Rejection):
    """A refusal by a guardrail: no other target would change it."""


def unauthorized() -> Rejection:
    """401: the key belongs to nobody."""
    return Rejection(
        401,
        "Unauthorized: Service account sandbox-unknown does not exist",
        kind="Error",
        outcome="unauthorized",
        level="authentication",
    )


def forbidden(subject: str, model: str) -> Rejection:
    """403: unknown model or no access; the gateway does not tell which."""
    return Rejection(
        403,
        f"User {subject} is not authorized to access model {model} or model does not exist",
        kind="AuthorizationError",
        outcome="forbidden",
    )


def forbidden_server(subject: str, server: str) -> Rejection:
    """403 for an MCP server; the text is made after that for models."""
    return Rejection(
        403,
        f"User {subject} is not authorized to access MCP server {server} or it does not exist",
        kind="AuthorizationError",
        outcome="forbidden",
    )


def blocked() -> Rejection:
    """403 of Cloudflare, which stands before the SaaS, for a `User-Agent` it does not like."""
    return Rejection(403, "error code: 1010", kind="cloudflare", outcome="blocked")


def bad_request(message: str) -> Rejection:
    """400: the gateway itself cannot read the request."""
    return Rejection(400, message, kind="BadRequestError", outcome="bad_request")


def provider_error(
    provider: str, status: int, message: str, retry_after: str | None = None
) -> Rejection:
    """Pass a provider's failure through with its status."""
    return Rejection(
        status,
        f"{provider} error: {message}",
        kind="APIError",
        outcome="provider_error",
        level="api_error",
        provider=provider,
        retry_after=retry_after,
    )


def invalid_response(provider: str, status: int) -> Rejection:
    """Pass on that the provider answered with something that is not its format."""
    return Rejection(
        status,
        f"Invalid response received from {provider}: not the format of its interface",
        kind="APIError",
        outcome="provider_error",
        level="api_error",
        provider=provider,
    )


def timed_out(provider: str, what: str, kind: str) -> Rejection:
    """408: the deadline that the client set in a header has passed; the type is not on record."""
    return Rejection(
        TIMED_OUT,
        f"{provider} error: {what} exceeded",
        kind=kind,
        outcome="timeout",
        level="api_error",
        provider=provider,
    )


def no_first_token(provider: str, kind: str) -> Rejection:
    """408: `x-tfy-ttft-timeout-ms` has passed."""
    found = timed_out(provider, "time to first token", kind)
    return TooSlow(
        found.status,
        found.message,
        kind=kind,
        outcome=found.outcome,
        level=found.level,
        provider=provider,
    )


def over_budget(model: str, rule: str, kind: str, level: str | None) -> Rejection:
    """429 of a budget; type and origin are not on record."""
    return Rejection(
        LIMITED,
        f"Budget exceeded for model: {model} with rule: {rule}",
        kind=kind,
        outcome="budget_exceeded",
        level=level,
        applied={"budget": [rule]},
    )


def blocked_by_guardrails(hook: str, message: str, checks: list[dict[str, object]]) -> Rejection:
    """400 of guardrails; `hook` is input or output."""
    return Blocked(
        400,
        message,
        kind="guardrail_checks_failed",
        outcome="guardrail_blocked",
        level=f"guardrails_{hook}",
        more={"guardrail_checks": {f"{hook}_guardrails": checks}},
    )


def rate_limited(model: str, rule: str, kind: str, level: str | None) -> Rejection:
    """429 of the gateway itself; type and origin are not on record."""
    return Rejection(
        LIMITED,
        f"Rate limit exceeded for model: {model} with rule: {rule}",
        kind=kind,
        outcome="rate_limited",
        level=level,
        applied={"rate_limit": [rule]},
    )


def not_found(method: str, path: str) -> Rejection:
    """404: no such endpoint in this stand-in."""
    return Rejection(404, f"Cannot {method} {path}", kind="NotFoundError", outcome="not_found")


def not_implemented(path: str) -> Rejection:
    """501: an endpoint of the real gateway that this stand-in has not."""
    return Rejection(
        501,
        f"Not supported by the sandbox: {path} exists in the real gateway alone",
        kind="NotImplementedError",
        outcome="not_found",
    )

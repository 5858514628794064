"""Endpoints that the real gateway has and this one has not: they say so, in the gateway's own envelope.

A client that goes there finds out that the sandbox is the reason, and not a wrong address or key. What
the real gateway does first is done here, too: the key is checked, and for batches, files and fine-tuning
the account that `x-tfy-provider-name` has to name.
"""

from __future__ import annotations

from tfy_last9.standins.asgi import Scope, Send, header, send_json
from tfy_last9.standins.gateway import envelope
from tfy_last9.standins.gateway.envelope import Rejection
from tfy_last9.standins.gateway.identity import Identities

NEEDS_ACCOUNT = ("/batches", "/files", "/fine_tuning/jobs")
MISSING = (*NEEDS_ACCOUNT, "/live", "/bedrock/proxy", "/agent/responses")


def is_missing(path: str) -> bool:
    """Tell whether a canonical path is documented and not played here."""
    return any(path == start or path.startswith(start + "/") for start in MISSING)


def refusal(path: str, scope: Scope, identities: Identities) -> Rejection:
    """Say why there is no answer."""
    try:
        identities.authenticate(scope)
    except Rejection as unauthorized:
        return unauthorized
    needs_account = any(path.startswith(start) for start in NEEDS_ACCOUNT)
    if needs_account and header(scope, b"x-tfy-provider-name") is None:
        return envelope.bad_request("x-tfy-provider-name header is required")
    return envelope.not_implemented(path)


async def answer(path: str, scope: Scope, identities: Identities, send: Send) -> None:
    """Answer a request to such an endpoint."""
    refused = refusal(path, scope, identities)
    await send_json(send, refused.status, refused.document())

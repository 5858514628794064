"""`GET /models`, which names models and says nothing about who may use them."""

from __future__ import annotations

from tfy_last9.standins.asgi import Scope, Send, send_json
from tfy_last9.standins.gateway import envelope
from tfy_last9.standins.gateway.envelope import Rejection
from tfy_last9.standins.gateway.identity import Identities
from tfy_last9.standins.gateway.story import OK


async def answer(
    path: str, scope: Scope, identities: Identities, names: tuple[str, ...], send: Send
) -> None:
    """List the models, or show the one that the path names."""
    try:
        identities.authenticate(scope)
        name = path.removeprefix("/models").removeprefix("/")
        if name and name not in names:
            raise envelope.not_found(scope["method"], scope["path"])
    except Rejection as rejection:
        await send_json(send, rejection.status, rejection.document())
        return
    if name:
        await send_json(send, OK, _described(name))
    else:
        await send_json(send, OK, {"object": "list", "data": list(map(_described, names))})


def _described(name: str) -> dict[str, object]:
    return {"id": name, "object": "model", "created": 0, "owned_by": name.split("/", 1)[0]}

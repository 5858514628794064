"""The sandbox's one fault switch: it is here, and what other processes act on is passed to them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import orjson

from tfy_last9.standins.asgi import Receive, Scope, Send, read_body, send_json
from tfy_last9.standins.faults import Fault, FaultError, FaultSet, Owner, parse
from tfy_last9.standins.gateway import envelope
from tfy_last9.standins.gateway.envelope import Rejection
from tfy_last9.standins.gateway.export import TraceExport
from tfy_last9.standins.gateway.identity import Identities
from tfy_last9.standins.gateway.settings import Settings
from tfy_last9.standins.gateway.story import OK
from tfy_last9.standins.gateway.upstream import Upstream, UpstreamLost


class FaultSwitch:
    """Answers `GET` and `PUT /sandbox/faults`; knows the faults of all processes."""

    def __init__(
        self,
        settings: Settings,
        identities: Identities,
        export: TraceExport,
        peers: Mapping[Owner, Upstream],
        faults: Iterable[Fault],
    ) -> None:
        self._settings = settings
        self._identities = identities
        self._export = export
        self._peers = peers
        self._faults = tuple(faults)

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Show the faults in force, or replace them all."""
        try:
            self._identities.authenticate(scope)
            if scope["method"] == "PUT":
                await self._replace(_parsed(await read_body(receive)))
        except Rejection as rejection:
            await send_json(send, rejection.status, rejection.document())
            return
        await send_json(send, OK, [str(fault) for fault in self._faults])

    async def _replace(self, faults: list[Fault]) -> None:
        for owner, peer in self._peers.items():
            await self._tell(peer, [str(fault) for fault in faults if fault.owner is owner])
        mine = [fault for fault in faults if fault.owner is Owner.GATEWAY]
        self._export.faults = FaultSet(mine, self._settings.seed)
        self._faults = tuple(faults)

    async def _tell(self, peer: Upstream, faults: list[str]) -> None:
        key, reply = f"Bearer {self._settings.api_key}", None
        try:
            body = orjson.dumps(faults)
            reply = await peer.send("PUT", "/sandbox/faults", body, headers={"authorization": key})
            text = await reply.body()
        except UpstreamLost as error:
            raise envelope.provider_error("sandbox", 503, str(error)) from error
        finally:
            if reply is not None:
                reply.release()
        if reply.status != OK:
            raise envelope.provider_error("sandbox", reply.status, text.decode())


def _parsed(raw: bytes) -> list[Fault]:
    try:
        return [parse(text) for text in orjson.loads(raw)]
    except (FaultError, ValueError, TypeError, AttributeError) as error:
        raise envelope.bad_request(str(error)) from None

"""Gateway and providers in this process, without sockets: what a request gets, exports and journals."""

import asyncio
import json
from dataclasses import dataclass, field
from pathlib import Path

from gateway_settings import policies_with, seen, settings_with

from tfy_last9.standins.faults import FaultSet, Owner, parse
from tfy_last9.standins.gateway.app import Gateway
from tfy_last9.standins.gateway.embedded import Embedded
from tfy_last9.standins.gateway.export import TraceExport
from tfy_last9.standins.gateway.fault_switch import FaultSwitch
from tfy_last9.standins.gateway.identity import Identities
from tfy_last9.standins.journal import Journal
from tfy_last9.standins.providers.app import Providers
from tfy_last9.standins.providers.vendors import Speed

KEY = "k"  # as in gateway_settings
GPT = "openai-main/gpt-4o-mini"
CLAUDE = "anthropic-main/claude-sonnet-4-6"
PACE = Speed(0.002, 0.0004)
QUESTION = [{"role": "user", "content": "Why is the sky blue?"}]
CITY = {"type": "object", "properties": {"city": {"type": "string"}}}
CHAT = {"model": GPT, "messages": QUESTION, "max_tokens": 6}


@dataclass
class Answer:
    """What a client got."""

    status: int = 0
    headers: dict = field(default_factory=dict)
    parts: list = field(default_factory=list)
    complete: bool = False
    """Whether the body was ended; a server cuts the connection of one that was not."""

    @property
    def text(self) -> str:
        return b"".join(self.parts).decode()

    @property
    def json(self):
        return json.loads(self.text)

    @property
    def events(self) -> list:
        """Data of each SSE event that is JSON."""
        lines = self.text.replace("\r\n", "\n").split("\n")
        found = [line[6:] for line in lines if line.startswith("data: ")]
        return [json.loads(one) for one in found if one != "[DONE]"]


class Memory:
    """An exporter that keeps the spans."""

    def __init__(self):
        self.spans = []
        self.metrics = ""

    def export(self, spans):
        self.spans += map(seen, spans)

    def stop(self):
        pass


@dataclass
class World:
    """What happened after a number of requests."""

    answers: list
    spans: list
    journal: list
    metrics: str = ""

    @property
    def answer(self) -> Answer:
        (found,) = self.answers
        return found

    def span(self, beginning: str):
        (found,) = [span for span in self.spans if span.name.startswith(beginning)]
        return found

    def of(self, number: int = 0, kind: str | None = None) -> list:
        """Give the spans of the n-th request, of one type (`HTTP` for those without), by start."""
        trace_id = self.lines("request")[number]["trace_id"]
        mine = [span for span in self.spans if span.trace_id == trace_id]
        typed = [s for s in mine if kind in (None, s.attributes.get("tfy.span_type", "HTTP"))]
        return sorted(typed, key=lambda span: span.start_ns)

    def metric(self, series: str) -> float:
        """Give the value of a Prometheus series; 0 for one that is not there."""
        found = [line for line in self.metrics.splitlines() if line.startswith(series + " ")]
        return float(found[0].rpartition(" ")[2]) if found else 0.0

    def lines(self, event: str) -> list:
        return [line for line in self.journal if line["event"] == event]


def request(path, body=None, *, method="POST", key=KEY, query=b"", **headers):
    """Describe one request; the body is JSON or bytes."""
    raw = body if isinstance(body, bytes) else json.dumps(body or {}).encode()
    given = {"content-type": "application/json", "authorization": f"Bearer {key}"}
    given |= {name.replace("_", "-"): value for name, value in headers.items()}
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": query,
        "headers": [(name.encode(), value.encode()) for name, value in given.items()],
    }
    return scope, raw


async def answered(app, scope, raw) -> Answer:
    answer, given = Answer(), [{"type": "http.request", "body": raw}]
    done = asyncio.Event()

    async def receive():
        if given:
            return given.pop()
        await done.wait()
        return {"type": "http.disconnect"}

    async def send(message):
        if message["type"] == "http.response.start":
            answer.status = message["status"]
            answer.headers = {k.decode(): v.decode() for k, v in message["headers"]}
        else:
            answer.parts.append(message.get("body", b""))
            answer.complete = not message.get("more_body", False)

    await app(scope, receive, send)
    return answer


def world(
    place: Path, *requests, flags=(), faults=(), together=False, config="", speed=PACE
) -> World:
    """Send requests one after the other, or together, and give what came of them."""
    path = place / f"journal-{len(list(place.iterdir()))}.ndjson"
    memory = Memory()
    wanted = [parse(fault) for fault in faults]

    async def run(journal, chosen):
        sets = {o: FaultSet([f for f in wanted if f.owner is o], 3) for o in Owner}
        providers = Providers(
            journal=journal,
            seed=3,
            faults=sets[Owner.PROVIDERS],
            api_key=KEY,
            pace=speed,
        )
        upstream = Embedded(providers)
        export = TraceExport(chosen, journal, sets[Owner.GATEWAY], memory)
        identities = Identities(chosen.api_key, chosen.other_keys)
        switch = FaultSwitch(chosen, identities, export, {Owner.PROVIDERS: upstream}, wanted)
        policies = policies_with(config, *flags)
        app = Gateway(chosen, journal, upstream, export, switch, policies)
        try:
            if together:
                return await asyncio.gather(*(answered(app, *one) for one in requests))
            answers = []
            for one in requests:  # one that depends on the answer before is a function of it
                asked = one(answers[-1]) if callable(one) else one
                answers.append(await answered(app, *asked))
            return answers
        finally:
            export.close()
            memory.metrics = policies.metrics.text().decode()

    with Journal(path, "test") as journal:
        answers = asyncio.run(run(journal, settings_with(*flags)))
    lines = list(map(json.loads, path.read_text().splitlines()))
    return World(answers, memory.spans, lines, memory.metrics)

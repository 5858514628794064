"""A Last9 for tests, answering in memory: only what the client is supposed to use."""

import base64
from dataclasses import dataclass, field

import httpx
import orjson

from tfy_last9.adapters.last9.calls import Retry
from tfy_last9.adapters.last9.client import Last9Client
from tfy_last9.adapters.last9.settings import Last9Settings
from tfy_last9.adapters.last9.source import Last9Source

EPOCH_S = 1_795_417_200
SERVICE = "tfy-llm-gateway"


def jwt(**claims) -> str:
    def part(value):
        return base64.urlsafe_b64encode(orjson.dumps(value)).rstrip(b"=").decode()

    return f"{part({'alg': 'HS256'})}.{part(claims)}.c2lnbmF0dXJl"


REFRESH = jwt(aud=["app.last9.io"], organization_slug="acme", scopes=["read"])


class FakeClock:
    """Time passes only when someone sleeps."""

    def __init__(self, now_s: float = EPOCH_S) -> None:
        self.now = int(now_s * 1e9)
        self.slept: list[float] = []

    def now_ns(self) -> int:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds >= 0
        self.slept.append(seconds)
        self.now += int(seconds * 1e9)


def span_row(n: int, at_s: float, **changes):
    """One row; `at_s` is the start in seconds after `EPOCH_S`, with millisecond resolution."""
    total_ms = round(at_s * 1000)
    hours, rest = divmod(total_ms // 1000, 3600)
    plain = {
        "Timestamp": f"2026-11-23T{7 + hours:02}:{rest // 60:02}:{rest % 60:02}"
        f".{total_ms % 1000:03}Z",
        "TraceId": f"{n:032x}",
        "SpanId": f"{n:016x}",
        "ParentSpanId": "",
        "SpanName": "ChatCompletion: m",
        "SpanKind": "SPAN_KIND_SERVER",
        "ServiceName": SERVICE,
        "ResourceAttributes": {"service.name": SERVICE},
        "SpanAttributes": {
            "tfy.span_type": "ChatCompletion",
            "tfy.request.metadata": orjson.dumps({"run_id": "r-42"}).decode(),
        },
        "Duration": 10**9,
        "StatusCode": "STATUS_CODE_OK",
        "StatusMessage": "",
        "_at_s": EPOCH_S + at_s,
    }
    return {**plain, **changes}


@dataclass
class Last9Double:
    """Rows, and the ways in which it misbehaves."""

    rows: list[dict] = field(default_factory=list)
    cap: int = 10**9
    """Answers are cut at this size in silence."""
    script: list[httpx.Response | Exception] = field(default_factory=list)
    """Answers given before anything else to calls with an access token."""
    token_script: list[httpx.Response | Exception] = field(default_factory=list)
    lifetime_s: int = 86_400
    boundaries: str = "half-open"
    datasources: object = field(
        default_factory=lambda: [
            {
                "name": "prod",
                "is_default": True,
                "region": "ap-south-1",
                "properties": {"levitate_cluster_id": "cl-1"},
            }
        ]
    )
    requests: list[httpx.Request] = field(default_factory=list)
    exchanges: int = 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if request.url.path == "/api/v4/oauth/access_token":
            return self._exchange()
        if self.script:
            answer = self.script.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer
        path = request.url.path.removeprefix("/api/v4/organizations/acme")
        if path == "/datasources":
            return httpx.Response(200, json=self.datasources)
        start, end = (int(request.url.params[key]) for key in ("start", "end"))
        limit = int(request.url.params.get("limit", "20"))
        found = [row for row in self.rows if self._inside(row["_at_s"], start, end)]
        found = sorted(found, key=lambda row: -row["_at_s"])
        if path.startswith("/cat/api/traces/v2/query_range/json"):
            return httpx.Response(200, json=enveloped(found[: min(limit, self.cap)]))
        traces = [row for row in found if row["TraceId"] == path.rpartition("/")[2]]
        if not traces:
            return httpx.Response(404, json={"error": "trace not found"})
        return httpx.Response(200, json={"traces": traces[:limit]})

    def _exchange(self) -> httpx.Response:
        if self.token_script:
            answer = self.token_script.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer
        self.exchanges += 1
        answer = {
            "access_token": jwt(n=self.exchanges),
            "refresh_token": REFRESH,
            "issued_at": EPOCH_S,
            "expires_at": EPOCH_S + self.lifetime_s,
            "type": "Bearer",
            "scopes": ["read"],
        }
        return httpx.Response(200, json=answer)

    def _inside(self, at_s: float, start: int, end: int) -> bool:
        if self.boundaries == "exclusive":
            return start < at_s < end
        if self.boundaries == "inclusive":
            return start <= at_s <= end
        return start <= at_s < end

    @property
    def queries(self) -> list[httpx.Request]:
        return [request for request in self.requests if "query_range" in request.url.path]


def enveloped(rows):
    return {"status": "success", "data": {"resultType": "stream", "result": rows}}


def connected(double, clock=None, retry=None, **settings):
    """Return client and source that talk to the double."""
    clock = clock or FakeClock()
    chosen = Last9Settings(**{"refresh_token": REFRESH, **settings})
    client = Last9Client(
        chosen, clock, transport=httpx.MockTransport(double), retry=retry or Retry()
    )
    return client, Last9Source(client, chosen, clock)

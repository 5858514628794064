"""A Last9 that makes its spans up as they are asked for: fast enough to measure a client with.

`python benchmarks/synthetic_last9.py TRACES START_S SECONDS` prints its port. Trace number i starts at
START_S + i * SECONDS / TRACES and has three spans: root, Model, HTTP.
"""

# ruff: noqa: D101, D102 - the method names of http.server
from __future__ import annotations

import base64
import json
import re
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

TRACES, START_S, SECONDS = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
GAP_S = SECONDS / TRACES
SPANS = 3
RUN_ID = "benchmark"


def token() -> str:
    def part(value: dict[str, object]) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    claims = {"aud": ["x"], "organization_slug": "acme", "exp": START_S + 10**9}
    return f"{part({'alg': 'none'})}.{part(claims)}.x"


HEAD = (
    '{"Timestamp":"%s","TraceId":"%032x","SpanId":"%016x","ParentSpanId":"%s","TraceState":"",'
    '"SpanName":"%s","SpanKind":"%s","ServiceName":"tfy-llm-gateway",'
    '"ResourceAttributes":{"service.name":"tfy-llm-gateway","env":"bench","region":"local"},'
    '"SpanAttributes":{%s},"Duration":900000000,"StatusCode":"STATUS_CODE_OK","StatusMessage":""}'
)
MODEL = (
    '"tfy.span_type":"Model","tfy.model.name":"openai-main/gpt-4o-mini",'
    '"tfy.model.fqn":"t:openai:openai-main:model:gpt-4o-mini","tfy.model.streaming":"true",'
    '"tfy.model.request_url":"https://api.openai.com/v1/chat/completions",'
    '"tfy.model.metric.latency_in_ms":"899.5","tfy.model.metric.input_tokens":"11",'
    '"tfy.model.metric.output_tokens":"20","tfy.model.metric.cost_in_usd":"0.0003",'
    '"tfy.model.metric.time_to_first_token_in_ms":"280.25",'
    '"tfy.model.metric.inter_token_latency_in_ms":"12.9","http.response.status_code":"200"'
)
HTTP = (
    '"http.request.method":"POST","url.full":"https://api.openai.com/v1/chat/completions",'
    '"server.address":"api.openai.com","http.response.status_code":"200"'
)


def rows(trace: int) -> list[str]:
    at_s = START_S + trace * GAP_S
    whole = int(at_s)
    day_s = whole % 86400
    clock = f"{day_s // 3600:02}:{day_s // 60 % 60:02}:{day_s % 60:02}"
    stamp = f"2026-11-23T{clock}.{int((at_s - whole) * 1e9):09}Z"
    root, model, http = (trace * 4 + n for n in (1, 2, 3))
    metadata = f'{{\\"run_id\\":\\"{RUN_ID}\\",\\"request_id\\":\\"{RUN_ID}.{trace}\\"}}'
    mine = (
        '"tfy.span_type":"ChatCompletion","tfy.request.model_name":"openai-main/gpt-4o-mini",'
        f'"tfy.request.metadata":"{metadata}"'
    )
    kind = "SPAN_KIND_INTERNAL"
    ids = trace + 1
    return [
        HEAD % (stamp, ids, root, "", "ChatCompletion: m", "SPAN_KIND_SERVER", mine),
        HEAD % (stamp, ids, model, f"{root:016x}", "Model: m", kind, MODEL),
        HEAD % (stamp, ids, http, f"{model:016x}", "POST", "SPAN_KIND_CLIENT", HTTP),
    ]


def between(start_s: int, end_s: int) -> range:
    first = max(0, -int(-(start_s - START_S) // GAP_S))
    last = min(TRACES, -int(-(end_s - START_S) // GAP_S))
    return range(first, max(first, last))


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        url = urlsplit(self.path)
        if url.path.endswith("access_token"):
            self.answer(json.dumps({"access_token": token(), "expires_at": START_S + 10**9}))
            return
        asked = {name: values[0] for name, values in parse_qs(url.query).items()}
        found = between(int(asked["start"]), int(asked["end"]))
        if '"aggregate"' in body:
            n = len(found) * (1 if "model_name" in body else SPANS)
            row = f'{{"metric":{{"n":{n}}},"values":[]}}'
        else:
            ids = [int(text, 16) - 1 for text in re.findall(r'"TraceId","([0-9a-f]{32})"', body)]
            traces = [n for n in ids if n in found] if ids else found
            limit = int(asked["limit"])
            newest = traces[-(limit // SPANS + 1) :]
            row = ",".join([text for n in reversed(newest) for text in rows(n)][:limit])
        self.answer(f'{{"status":"success","data":{{"resultType":"stream","result":[{row}]}}}}')

    def answer(self, text: str) -> None:
        body = text.encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def main() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(json.dumps({"port": server.server_port, "refresh_token": token()}), flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()

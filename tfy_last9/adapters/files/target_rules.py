"""What a target's protocol allows it to say: rules over several keys, each with the place of its fault."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from tfy_last9.adapters.files.places import Trail
from tfy_last9.adapters.files.prompt_document import MessagesPrompt, PairPrompt, TurnPart
from tfy_last9.adapters.files.scenario_document import ScenarioDocument, TargetPart
from tfy_last9.model.scenario import CONVERSATIONAL, Api

Fault = tuple[Trail, str, str | None]
"""Place, what is wrong, and what to do."""

SDK_APIS = frozenset({Api.CHAT, Api.RESPONSES, Api.EMBEDDINGS})
"""What `driver: openai` can send: what the openai SDK can."""
_OWN_BODY = {Api.RESPONSES: "input", Api.GEMINI: "contents"}
"""Where a protocol carries the prompt, beside `messages`."""


def target_faults(document: ScenarioDocument) -> Iterator[Fault]:
    """Yield every fault of the targets, of what they need from the rest, and of the driver."""
    for i, target in enumerate(document.targets):
        at: Trail = ("targets", i)
        rules = (
            *(_names(target), _stream(target), _words(target), _checks(target)),
            _price(target),
        )
        for trail, message, hint in chain.from_iterable(rules):
            yield (*at, *trail), f'target "{target.name}": {message}', hint
        if document.driver == "openai":
            yield from _driver(target, at)
    yield from _prompts(document)


def _names(target: TargetPart) -> Iterator[Fault]:
    """Check what says where a request goes."""
    is_mcp, is_http = target.api == "mcp", target.api == "http"
    if is_mcp:
        if target.server is None:
            yield (), "api: mcp needs `server`, the MCP server's name at the gateway", None
        if target.mcp is None:
            hint = "mcp: {calls: [{tool: search, arguments: {query: rivers}}]}"
            yield (), "api: mcp needs `mcp`, the tools to call", hint
        if target.model is not None:
            yield ("model",), "an MCP server has no model", "take `model` out"
    else:
        if target.model is None:
            yield (), 'key "model" is missing', None
        for key, value in (("server", target.server), ("mcp", target.mcp)):
            if value is not None:
                yield (key,), f"`{key}` is for api: mcp", _instead(target)
    if is_http and target.path is None:
        yield (), 'api: http needs `path`, such as "/rerank"', None
    if target.prompt_key is not None and not is_http:
        yield ("prompt_key",), "`prompt_key` is for api: http", _instead(target)


def _stream(target: TargetPart) -> Iterator[Fault]:
    if target.stream and Api(target.api) not in CONVERSATIONAL:
        hint = f"take `stream` out; these can be streamed: {_listed(CONVERSATIONAL)}"
        yield ("stream",), f"api: {target.api} is not streamed", hint


def _words(target: TargetPart) -> Iterator[Fault]:
    """Check what is said in the body."""
    api = Api(target.api)
    if target.max_tokens is not None and api not in CONVERSATIONAL:
        hint = f"take `max_tokens` out; these have it: {_listed(CONVERSATIONAL)}"
        yield ("max_tokens",), f"api: {target.api} has no output tokens", hint
    own = _OWN_BODY.get(api)
    if own is not None and own in target.body:
        yield ("body", own), f'body key "{own}" comes from the prompts', "take it out of body"
    if target.prompt_key is not None and target.prompt_key in target.body:
        message = f'"{target.prompt_key}" is written twice: by `prompt_key` and in `body`'
        yield ("prompt_key",), message, "take one of them out"


def _checks(target: TargetPart) -> Iterator[Fault]:
    checks, api = target.checks, Api(target.api)
    if checks is None:
        return
    if checks.finish_reason is not None and api not in CONVERSATIONAL:
        message = f"api: {target.api} names no finish reason"
        yield ("checks", "finish_reason"), message, "take the check out"
    if api is Api.EMBEDDINGS:
        for key, value in (("regex", checks.regex), ("json_schema", checks.json_schema)):
            if value is not None:
                yield ("checks", key), "embeddings have no words", "check `non_empty` instead"


def _price(target: TargetPart) -> Iterator[Fault]:
    """Half a price would count the other half as nothing."""
    if target.price is None:
        return
    if Api(target.api) in CONVERSATIONAL:
        for key in ("input_usd_per_mtok", "output_usd_per_mtok"):
            if getattr(target.price, key) is None:
                hint = f"write `{key}: 0` if it is free"
                yield ("price",), f"its price lacks `{key}`", hint
    elif target.api == "embeddings" and target.price.input_usd_per_mtok is None:
        yield ("price",), "its price lacks `input_usd_per_mtok`", "write 0 if it is free"
    elif target.api in ("mcp", "http") and target.price.request_usd is None:
        yield ("price",), f"api: {target.api} is priced by `request_usd`", "write 0 if it is free"


def _driver(target: TargetPart, at: Trail) -> Iterator[Fault]:
    if Api(target.api) not in SDK_APIS:
        message = (
            f"driver: openai cannot send api: {target.api}; the openai SDK has {_listed(SDK_APIS)}"
        )
        yield (*at, "api"), message, "use `driver: stream` (the default), which sends them all"
    if target.path is not None:
        hint = "use `driver: stream` (the default)"
        yield (*at, "path"), "driver: openai sends to the paths of the SDK only", hint


def _prompts(document: ScenarioDocument) -> Iterator[Fault]:
    talkers = [target for target in document.targets if Api(target.api) in CONVERSATIONAL]
    readers = [target for target in document.targets if _reads_prompts(target)]
    if document.prompts is None:
        if readers:
            hint = "prompts: [Say hello.]"
            yield (), f'key "prompts" is missing: target "{readers[0].name}" sends them', hint
        return
    may_call = any("tools" in target.body for target in talkers)
    for i, prompt in enumerate(document.prompts):
        turns = prompt.turns if isinstance(prompt, PairPrompt | MessagesPrompt) else []
        at: Trail = ("prompts", i, "turns")
        if turns and not talkers:
            hint = f"these can: {_listed(CONVERSATIONAL)}"
            yield at, "no target can hold a conversation of several turns", hint
        elif not may_call and (place := _first_results(turns)) is not None:
            hint = "give the target's body its tools: body: {tools: [...]}"
            yield (*at, place, "tool_results"), "no target offers tools, so none is called", hint


def _reads_prompts(target: TargetPart) -> bool:
    if target.api == "embeddings":
        return "input" not in target.body
    return Api(target.api) in CONVERSATIONAL or target.prompt_key is not None


def _first_results(turns: list[TurnPart]) -> int | None:
    return next((i for i, turn in enumerate(turns) if turn.tool_results is not None), None)


def _instead(target: TargetPart) -> str:
    return f"this target has api: {target.api}; take it out"


def _listed(apis: frozenset[Api]) -> str:
    return ", ".join(api.value for api in Api if api in apis)

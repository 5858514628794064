"""The vendors' official Python clients, LangChain and the MCP client, unchanged, against the gateway."""

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor

import anthropic
import httpx2
import openai
import pytest
from anthropic.types import ToolUseBlock
from google import genai
from google.genai import errors as google_errors
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client
from sdk_sandbox import CITY, CLAUDE, GPT, QUESTION, REASONER, THINKER, start

pytestmark = [pytest.mark.contract, pytest.mark.xdist_group("vendor clients")]
WEATHER = {"name": "get_weather", "description": "The weather.", "parameters": CITY}
TOOLS = [{"type": "function", "function": WEATHER}]


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory):
    running = start(tmp_path_factory.mktemp("vendors"), "--seed", "5")
    yield running
    running.stop()


@pytest.fixture(scope="module")
def gpt(sandbox):
    with openai.OpenAI(base_url=sandbox.url, api_key=sandbox.key, max_retries=0) as client:
        yield client


@pytest.fixture(scope="module")
def claude(sandbox):
    with anthropic.Anthropic(base_url=sandbox.url, api_key=sandbox.key, max_retries=0) as client:
        yield client


@pytest.fixture(scope="module")
def gemini(sandbox):
    options = {"base_url": f"{sandbox.url}/gemini/gemini-main/proxy"}
    with genai.Client(api_key=sandbox.key, http_options=options) as client:
        yield client


def deltas(stream):
    return [chunk.choices[0].delta for chunk in stream if chunk.choices]


def test_openai_streams_a_tool_call_in_fragments_and_then_answers_in_words(gpt):
    asked = {"model": GPT, "messages": QUESTION, "tools": TOOLS}
    found = [
        delta.tool_calls for delta in deltas(gpt.chat.completions.create(**asked, stream=True))
    ]
    calls = [calls[0] for calls in found if calls]
    assert calls[0].function.name == "get_weather"
    assert calls[0].id
    assert json.loads("".join(call.function.arguments for call in calls)) == {"city": "blue sky"}
    whole = gpt.chat.completions.create(**asked).choices[0]
    assert whole.finish_reason == "tool_calls"
    call = whole.message.tool_calls[0]
    result = {"role": "tool", "tool_call_id": call.id, "content": "12 degrees"}
    again = gpt.chat.completions.create(
        **asked | {"messages": [*QUESTION, whole.message, result]}, max_tokens=5
    )
    assert again.choices[0].message.content


def test_openai_reads_structured_answers_and_takes_pictures(gpt):
    schema = {"name": "city", "schema": CITY, "strict": True}
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    asked = [{"role": "user", "content": [{"type": "text", "text": "Where?"}, picture]}]
    answer = gpt.chat.completions.create(
        model=GPT,
        messages=asked,
        response_format={"type": "json_schema", "json_schema": schema},
    )
    assert json.loads(answer.choices[0].message.content) == {"city": "blue sky"}
    assert answer.usage.prompt_tokens > 85


def test_reasoning_is_told_from_the_answer(gpt):
    asked = {"messages": QUESTION, "max_tokens": 3, "stream": True}
    found = deltas(gpt.chat.completions.create(model=REASONER, **asked))
    reasoning = [bool((delta.model_extra or {}).get("reasoning_content")) for delta in found]
    content = [bool(delta.content) for delta in found]
    assert sum(reasoning) > 3
    assert sum(content) == 3
    assert max(i for i, hit in enumerate(reasoning) if hit) < content.index(True)


def test_a_silent_thinker_gives_signs_of_life_that_the_client_ignores(gpt, sandbox):
    asked = {"model": THINKER, "messages": QUESTION, "max_tokens": 3, "stream": True}
    with ThreadPoolExecutor() as pool:
        raw = [pool.submit(sandbox.post, "/chat/completions", asked) for _ in range(4)]
        read = pool.submit(lambda: deltas(gpt.chat.completions.create(**asked)))
    assert ": keep-alive\n\n" in "".join(one.result().text for one in raw)
    assert len(read.result()) == 5


def test_openai_responses_stream_every_event_and_end_with_usage(gpt):
    asked = {"model": GPT, "input": "Why?", "tools": [{"type": "function", **WEATHER}]}
    events = list(gpt.responses.create(**asked, stream=True))
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert events[0].type == "response.created"
    assert events[-1].type == "response.completed"
    assert json.loads(events[-1].response.output[0].arguments) == {"city": "blue sky"}
    with gpt.responses.stream(model=GPT, input="Why?") as stream:
        final = stream.get_final_response()
    assert (final.status, final.output_text != "") == ("completed", True)
    cut = list(gpt.responses.create(model=GPT, input="Why?", max_output_tokens=4, stream=True))
    assert cut[-1].type == "response.incomplete"
    assert cut[-1].response.usage.output_tokens == 4
    whole = gpt.responses.create(
        model="gpt-4o-mini",
        input="Why?",
        max_output_tokens=4,
        extra_headers={"x-tfy-provider-name": "openai-main"},
    )
    assert len(whole.output_text.split()) == 4


def test_openai_reads_what_is_not_chat(gpt):
    embedded = gpt.embeddings.create(model="openai-main/text-embedding-3-small", input=["a", "b"])
    assert [len(item.embedding) for item in embedded.data] == [1536, 1536]
    assert sum(value**2 for value in embedded.data[0].embedding) == pytest.approx(1, rel=1e-3)
    text = gpt.completions.create(model="openai-main/gpt-3.5-turbo-instruct", prompt="Why?")
    assert len(text.choices[0].text.split()) == 16
    flagged = gpt.moderations.create(model="openai-main/omni-moderation-latest", input="kill")
    assert flagged.results[0].flagged
    picture = gpt.images.generate(model="openai-main/gpt-image-1", prompt="sky", size="64x64")
    assert picture.data[0].b64_json.startswith("iVBORw0KGgo")
    said = gpt.audio.speech.create(model="openai-main/gpt-4o-mini-tts", voice="alloy", input="hi")
    assert said.content.startswith(b"\xff\xfb")
    heard = gpt.audio.transcriptions.create(
        model="openai-main/whisper-1", file=("a.wav", b"RIFF....")
    )
    assert heard.text
    assert GPT in {model.id for model in gpt.models.list()}


def test_openai_raises_its_own_errors(gpt, sandbox):
    with pytest.raises(openai.PermissionDeniedError, match="not authorized"):
        gpt.chat.completions.create(model="openai-main/gpt-9", messages=QUESTION)
    with pytest.raises(openai.BadRequestError, match="messages: required"):
        gpt.chat.completions.create(model=GPT, messages=[])
    with pytest.raises(openai.AuthenticationError, match="Unauthorized"):
        gpt.with_options(api_key="nobody").models.list()
    limited = gpt.with_options(api_key=sandbox.ready["keys"]["limited"])
    with pytest.raises(openai.PermissionDeniedError, match="sandbox-limited-account"):
        limited.chat.completions.create(model=CLAUDE, messages=QUESTION)


def test_anthropic_accumulates_text_thinking_and_tool_use(claude):
    asked = {"model": CLAUDE, "max_tokens": 12, "messages": QUESTION}
    thinking = {"thinking": {"type": "enabled", "budget_tokens": 1024}}
    with claude.messages.stream(**asked, **thinking) as stream:
        kinds = {event.type for event in stream}
        message = stream.get_final_message()
    assert {"message_start", "content_block_start", "thinking", "signature", "text"} <= kinds
    assert {"content_block_stop", "message_delta", "message_stop"} <= kinds
    assert [block.type for block in message.content] == ["thinking", "text"]
    assert message.content[0].signature
    assert message.stop_reason == "max_tokens"
    assert message.usage.output_tokens > 12
    tools = [{"name": "get_weather", "input_schema": CITY}]
    with claude.messages.stream(**asked, tools=tools) as stream:
        called = stream.get_final_message()
    block = called.content[-1]
    assert isinstance(block, ToolUseBlock)
    assert (block.input, called.stop_reason) == ({"city": "blue sky"}, "tool_use")
    result = {"type": "tool_result", "tool_use_id": block.id, "content": "12 degrees"}
    turns = [*QUESTION, {"role": "assistant", "content": called.content}]
    again = claude.messages.create(
        **asked | {"messages": [*turns, {"role": "user", "content": [result]}]}, tools=tools
    )
    assert again.content[0].text


def test_anthropic_raises_its_own_errors(claude):
    with pytest.raises(anthropic.BadRequestError, match="max_tokens"):
        claude.post("/v1/messages", body={"model": CLAUDE, "messages": QUESTION}, cast_to=object)
    with pytest.raises(anthropic.AuthenticationError):
        claude.with_options(api_key="nobody").messages.create(
            model=CLAUDE, max_tokens=1, messages=QUESTION
        )


def test_gemini_streams_answers_thoughts_and_function_calls(gemini):
    limit = {"max_output_tokens": 4}
    asked = {"model": "gemini-2.5-flash", "contents": "Why?"}
    chunks = list(gemini.models.generate_content_stream(**asked, config=limit))
    assert sum(bool(chunk.text) for chunk in chunks) == 4
    assert chunks[-1].candidates[0].finish_reason.name == "MAX_TOKENS"
    assert chunks[-1].usage_metadata.candidates_token_count == 4
    thinking = {"thinking_config": {"include_thoughts": True}} | limit
    whole = gemini.models.generate_content(**asked, config=thinking)
    assert [bool(part.thought) for part in whole.candidates[0].content.parts] == [True, False]
    declared = {"name": "get_weather", "parameters_json_schema": CITY}
    called = gemini.models.generate_content(
        **asked, config={"tools": [{"function_declarations": [declared]}]}
    )
    assert called.function_calls[0].args == {"city": "blue sky"}
    with pytest.raises(google_errors.ClientError, match="not authorized"):
        gemini.models.generate_content(model="gemini-9", contents="Why?")


def test_langchain_answers_streams_and_calls_tools(sandbox):
    model = ChatOpenAI(model=GPT, base_url=sandbox.url, api_key=sandbox.key, max_retries=0)
    short = model.bind(max_tokens=4)
    assert len(short.invoke("Why?").content.split()) == 4
    chunks = list(short.stream("Why?"))
    assert sum(bool(chunk.content) for chunk in chunks) == 4
    able = model.bind_tools(TOOLS)
    first = able.invoke("Why?")
    assert first.tool_calls[0]["args"] == {"city": "blue sky"}
    result = ToolMessage("12 degrees", tool_call_id=first.tool_calls[0]["id"])
    assert able.bind(max_tokens=4).invoke([HumanMessage("Why?"), first, result]).content
    embedder = OpenAIEmbeddings(
        model="openai-main/text-embedding-3-small",
        base_url=sandbox.url,
        api_key=sandbox.key,
        max_retries=0,
        check_embedding_ctx_length=False,
    )
    assert len(embedder.embed_query("Why?")) == 1536


@pytest.mark.parametrize(
    "path", ["/mcp/v1/sandbox-tools/mcp", "/sandbox/mcp/sandbox-search/server"]
)
def test_the_mcp_client_lists_and_calls_tools_as_json_and_as_events(sandbox, path):
    headers = sandbox.headers(request_id=path)

    async def session():
        async with (
            httpx2.AsyncClient(headers=headers) as http,
            Client(streamable_http_client(f"{sandbox.url}{path}", http_client=http)) as client,
        ):
            listed = await client.list_tools()
            echo = await client.call_tool("echo", {"text": "hello"})
            failing = await client.call_tool("failing", {})
            with pytest.raises(MCPError, match="Internal error") as crash:
                await client.call_tool("crashing", {})
            with pytest.raises(MCPError, match="Unknown tool"):
                await client.call_tool("nothing", {})
            return listed, echo, failing, crash.value

    listed, echo, failing, crash = asyncio.run(session())
    assert {"get_weather", "search_documents"} <= {tool.name for tool in listed.tools}
    assert (echo.content[0].text, echo.is_error) == ("echo: hello", False)
    assert failing.is_error
    assert crash.error.code == -32603
    server = path.split("/")[3]
    methods = [line["method"] for line in sandbox.journal("mcp", server=server)]
    assert methods.count("tools/call") == 4
    assert {"initialize", "tools/list"} <= set(methods)

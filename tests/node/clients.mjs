// Uses each vendor's client once per behaviour and prints what it saw, as one JSON object.
import Anthropic from '@anthropic-ai/sdk'
import { GoogleGenAI } from '@google/genai'
import OpenAI from 'openai'

const url = process.env.TFY_GATEWAY_URL
const key = process.env.TFY_API_KEY
const question = [{ role: 'user', content: 'Why is the sky blue?' }]
const city = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] }
const gpt = { model: 'openai-main/gpt-4o-mini', messages: question }
const claude = { model: 'anthropic-main/claude-sonnet-4-6', max_tokens: 5, messages: question }
const gemini = { model: 'gemini-2.5-flash', contents: 'Why is the sky blue?' }

const openai = new OpenAI({ baseURL: url, apiKey: key, maxRetries: 0 })
const anthropic = new Anthropic({ baseURL: url, apiKey: key, maxRetries: 0 })
const google = new GoogleGenAI({
  apiKey: key,
  httpOptions: { baseUrl: `${url}/gemini/gemini-main/proxy` },
})

async function openaiStream() {
  const usage = { include_usage: true }
  const stream = await openai.chat.completions.create({
    ...gpt, max_tokens: 5, stream: true, stream_options: usage,
  })
  let tokens = 0
  let counted
  for await (const chunk of stream) {
    tokens += chunk.choices[0]?.delta?.content ? 1 : 0
    counted = chunk.usage ?? counted
  }
  return { tokens, counted: counted.completion_tokens, priced: counted.costInUSD > 0 }
}

async function openaiTool() {
  const tool = { type: 'function', function: { name: 'get_weather', parameters: city } }
  const runner = openai.chat.completions.stream({ ...gpt, tools: [tool] })
  const call = (await runner.finalChatCompletion()).choices[0].message.tool_calls[0]
  return JSON.parse(call.function.arguments)
}

async function openaiResponses() {
  const stream = openai.responses.stream({ model: gpt.model, input: 'Why?' })
  const response = await stream.finalResponse()
  return { status: response.status, answered: response.output_text.length > 0 }
}

async function openaiEmbedding() {
  const model = 'openai-main/text-embedding-3-small'
  return (await openai.embeddings.create({ model, input: 'sky' })).data[0].embedding.length
}

async function openaiError() {
  try {
    await openai.chat.completions.create({ ...gpt, model: 'openai-main/gpt-9' })
  } catch (error) {
    return { name: error.constructor.name, status: error.status, type: error.type }
  }
}

async function anthropicStream() {
  const events = new Set()
  const stream = anthropic.messages.stream(claude)
  stream.on('streamEvent', (event) => events.add(event.type))
  const message = await stream.finalMessage()
  return { events: [...events].sort(), stop: message.stop_reason, tokens: message.usage.output_tokens }
}

async function anthropicTool() {
  const tools = [{ name: 'get_weather', input_schema: city }]
  const message = await anthropic.messages.create({ ...claude, tools })
  return message.content.at(-1).input
}

async function anthropicError() {
  try {
    await anthropic.messages.create({ ...claude, messages: [] })
  } catch (error) {
    return { name: error.constructor.name, status: error.status }
  }
}

async function geminiStream() {
  let tokens = 0
  let reason
  const config = { maxOutputTokens: 5 }
  for await (const chunk of await google.models.generateContentStream({ ...gemini, config })) {
    tokens += chunk.text ? 1 : 0
    reason = chunk.candidates[0].finishReason ?? reason
  }
  return { tokens, reason }
}

async function geminiTool() {
  const tools = [{ functionDeclarations: [{ name: 'get_weather', parametersJsonSchema: city }] }]
  const answer = await google.models.generateContent({ ...gemini, config: { tools } })
  return answer.functionCalls[0].args
}

const behaviours = {
  openaiStream, openaiTool, openaiResponses, openaiEmbedding, openaiError,
  anthropicStream, anthropicTool, anthropicError, geminiStream, geminiTool,
}
const seen = await Promise.all(
  Object.entries(behaviours).map(async ([name, run]) => [name, await run()]),
)
console.log(JSON.stringify(Object.fromEntries(seen)))

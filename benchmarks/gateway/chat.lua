-- wrk: the same streaming chat of a few tokens, over and over; counts the answers that are complete.
wrk.method = "POST"
wrk.path = "/chat/completions"
wrk.headers["authorization"] = "Bearer bench"
wrk.headers["content-type"] = "application/json"
local body = '{"model":"openai-main/gpt-4o-mini","stream":true,"max_tokens":%s,'
  .. '"messages":[{"role":"user","content":"Why is the sky blue?"}]}'
wrk.body = string.format(body, os.getenv("TOKENS"))

-- With SPREAD_MS, first requests of the connections are spread over that time; later ones follow at once.
local spread, waiting = os.getenv("SPREAD_MS"), tonumber(os.getenv("CONNECTIONS"))
if spread then
  function delay()
    waiting = waiting - 1
    return waiting >= 0 and math.random(0, tonumber(spread)) or 0
  end
end

local threads = {}
function setup(thread)
  table.insert(threads, thread)
end
function init()
  complete, broken = 0, 0
end
function response(status, headers, answer)
  if status == 200 and answer:sub(-8) == "[DONE]\n\n" then
    complete = complete + 1
  else
    broken = broken + 1
  end
end
function done(summary, latency)
  local complete, broken = 0, 0
  for _, thread in ipairs(threads) do
    complete = complete + thread:get("complete")
    broken = broken + thread:get("broken")
  end
  local errors = summary.errors
  io.write(string.format(
    "RESULT %d %d %d %d %d %d\n", complete, broken, summary.duration, latency:percentile(50),
    latency:percentile(99), errors.connect + errors.read + errors.write + errors.timeout))
end

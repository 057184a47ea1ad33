-- Sends the requests of the folder CASES in random order and compares each response with the one expected.
-- A response is matched to its request by x-request-id; those without an id have one of two bodies.
local function read(name)
  local file = assert(io.open(os.getenv("CASES") .. "/" .. name, "rb"))
  local content = file:read("*a")
  file:close()
  return content
end

local threads = {}
function setup(thread) table.insert(threads, thread) end

wrong, unexpected = 0, ""
local requests, expected, anonymous = {}, {}, {}

function init()
  for line in read("index"):gmatch("[^\n]+") do
    local name, path, kind, encoding, status = line:match("(%S+) (%S+) (%S+) (%S+) (%S+)")
    local headers = {["content-type"] = kind}
    if encoding ~= "-" then headers["content-encoding"] = encoding end
    local answer = {status = tonumber(status), body = read(name .. ".answer")}
    if name:find("^anonymous") then
      anonymous[answer.body] = true
    else
      headers["x-request-id"] = name
      expected[name] = answer
    end
    table.insert(requests, wrk.format("POST", path, headers, read(name .. ".body")))
  end
end

function request() return requests[math.random(#requests)] end

function response(status, headers, body)
  local answer = expected[headers["x-request-id"]]
  local right
  if answer then
    right = status == answer.status and body == answer.body
  else
    right = status == 200 and anonymous[body]
  end
  if not right then
    wrong = wrong + 1
    unexpected = status .. " " .. tostring(headers["x-request-id"]) .. " " .. body:sub(1, 300)
  end
end

function done(summary, latency, _)
  local wrong_answers = 0
  for _, thread in ipairs(threads) do
    wrong_answers = wrong_answers + thread:get("wrong")
    if thread:get("unexpected") ~= "" then io.stderr:write("unexpected: ", thread:get("unexpected"), "\n") end
  end
  local lost = summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout
  io.write(string.format(
    '{"requests": %d, "duration_s": %.6f, "wrong": %d, "lost": %d, "p50_ms": %.4f, "p99_ms": %.4f}\n', summary.requests,
    summary.duration / 1e6, wrong_answers, lost, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end

-- What wrk sends, and what it counts. Arguments: the file with the requests, then a word for unique keys ("" for none).
-- The file: "METHOD PATH", the words of a good answer and of a bad one, headers, an empty line, one body a line (none:
-- one request without a body). Where bodies hold the mark, each request has a key of its own there; else in a header.

local threads = {}
local prepared = {}
local prefix, sent = "", 0
local good, bad
-- As long as what stands in its place: lengths are told beforehand.
local MARK = "@@key@@@@@@@@@@@@@@@@@@@@@@@"

function setup(thread)
  table.insert(threads, thread)
end

-- What stands between the marks.
local function parts(whole)
  local found, start = {}, 1
  local from, to = whole:find(MARK, 1, true)
  while from do
    table.insert(found, whole:sub(start, from - 1))
    start = to + 1
    from, to = whole:find(MARK, start, true)
  end
  table.insert(found, whole:sub(start))
  return found
end

function init(args)
  valid, invalid, wrong, sample = 0, 0, 0, ""
  prefix = args[2] or ""
  local headers, bodies, method, path = {}, {}, nil, nil
  local in_head = true
  for line in io.lines(args[1]) do
    if method == nil then
      method, path = line:match("^(%S+) (%S+)$")
    elseif good == nil then
      good = line
    elseif bad == nil then
      bad = line
    elseif in_head and line == "" then
      in_head = false
    elseif in_head then
      local name, value = line:match("^([^:]+): (.*)$")
      headers[name] = value
    else
      table.insert(bodies, line)
    end
  end
  if prefix ~= "" and not (bodies[1] or ""):find(MARK, 1, true) then headers["Idempotency-Key"] = MARK end
  for index = 1, math.max(1, #bodies) do
    prepared[index] = parts(wrk.format(method, path, headers, bodies[index]))
  end
  math.randomseed(os.time())
end

function request()
  local chosen = prepared[math.random(#prepared)]
  if #chosen == 1 then return chosen[1] end
  sent = sent + 1
  return table.concat(chosen, string.format("%s%011d", prefix, sent))
end

local function count(text, words)
  local found, at = 0, text:find(words, 1, true)
  while at do
    found, at = found + 1, text:find(words, at + #words, true)
  end
  return found
end

function response(status, headers, body)
  valid = valid + count(body, good)
  local refused = count(body, bad)
  invalid = invalid + refused
  if status < 200 or status > 299 then wrong = wrong + 1 end
  if sample == "" and (refused > 0 or status < 200 or status > 299) then
    sample = status .. " " .. body:sub(1, 400):gsub("%s+", " ")
  end
end

function done(summary, latency, requests)
  local total = { valid = 0, invalid = 0, wrong = 0 }
  local said = ""
  for _, thread in ipairs(threads) do
    for name in pairs(total) do total[name] = total[name] + thread:get(name) end
    if said == "" then said = thread:get("sample") end
  end
  local errors = summary.errors
  io.write(string.format(
    "RESULT requests=%d duration_us=%d p50_us=%d p99_us=%d max_us=%d valid=%d invalid=%d wrong=%d broken=%d sample=%s\n",
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), latency.max,
    total.valid, total.invalid, total.wrong,
    errors.connect + errors.read + errors.write + errors.timeout, said))
end

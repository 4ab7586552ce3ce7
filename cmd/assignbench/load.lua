-- Asks for 100,000 customers, one after the other; each thread begins elsewhere.
--   args: what to ask for (a path), the key, and "known" or "first" (every request another customer)
local threads = 0
function setup(thread)
  thread:set("number", threads)
  threads = threads + 1
end

local customers, requests, at = 100000, {}, 0
local path, headers, unknown, run

local function body(customer)
  return '{"context":{"targetingKey":"' .. customer .. '","country":"FR","age":42}}'
end

function init(args)
  path, unknown = args[1], args[3] == "first"
  headers = { ["Content-Type"] = "application/json", ["Authorization"] = "Bearer " .. args[2] }
  at, run = number * 50000, os.time()
  if not unknown then
    for i = 0, customers - 1 do
      requests[i] = wrk.format("POST", path, headers, body("c-" .. i))
    end
  end
end

function request()
  at = at + 1
  if unknown then
    return wrk.format("POST", path, headers, body("new-" .. run .. "-" .. number .. "-" .. at))
  end
  return requests[at % customers]
end

-- One line for the program that reads this.
function done(summary, latency)
  local e = summary.errors
  print(string.format('{"seconds": %.6f, "requests": %d, "failed": %d, "p50_ms": %.4f, "p99_ms": %.4f}', summary.duration / 1e6,
    summary.requests, e.connect + e.read + e.write + e.status + e.timeout, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end

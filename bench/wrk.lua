-- Requests for $HOSTS hosts in turn, in an order that does not follow their names. The list is always as long, so that
-- the load costs the same however many hosts there are.
local size = 10000
local requests = {}
local at = 0

function init(args)
  local hosts = tonumber(os.getenv("HOSTS"))
  for i = 0, size - 1 do
    requests[i] = wrk.format("GET", os.getenv("REQUEST_PATH"), { Host = "h" .. ((i * 7919) % size % hosts) .. ".bench.example" })
  end
end

function request()
  at = (at + 1) % size
  return requests[at]
end

function done(summary, latency, r)
  local e = summary.errors
  io.write(string.format('RESULT {"requests":%d,"micros":%d,"p99":%d,"errors":%d}\n',
    summary.requests, summary.duration, latency:percentile(99), e.connect + e.read + e.write + e.status + e.timeout))
end

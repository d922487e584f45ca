-- Sixteen requests in one write; wrk counts every answer.
dofile("report.lua")

function init(args)
  local one = wrk.format("GET", "/")
  local all = {}
  for i = 1, 16 do all[i] = one end
  batch = table.concat(all)
end

function request()
  return batch
end

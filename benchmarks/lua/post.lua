-- POST the 1 KiB of the workload with every request.
dofile("report.lua")

wrk.method = "POST"
wrk.headers["Content-Type"] = "text/plain"
wrk.body = string.rep("k", 1024)

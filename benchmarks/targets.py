"""The figures this project wants to reach, and whether a run reached them."""

from dataclasses import dataclass

from rounds import Results

KIB = 1024
MB = 1e6
SYNC_OVER_FLOOR = 1.25
ASYNC_OVER_FLOOR = 1.35
ACCESSLOG_MICROSECONDS = 0.5
IDLE_BYTES = 1.5 * KIB
START_SECONDS = 0.25
WORKER_BYTES = 6 * MB
FILE_OVER_NGINX = 1.5
LARGE_FILE_OVER_NGINX = 1.1
# Not servers in Python.
BASES = {"floor", "nginx", "nginx-cached", "nginx-nopush"}


@dataclass(frozen=True, slots=True)
class Verdict:
    """A target: what, how much it may be, what it was, and whether that is good."""

    what: str
    bar: str
    found: str
    met: bool


def verdicts(results: Results) -> list[Verdict]:
    """Return the targets this run can speak about."""
    every = [
        _over_floor(results, "plaintext", "sync handler", SYNC_OVER_FLOOR),
        _cheapest(results, "plaintext", "sync handler"),
        _over_floor(results, "async", "async handler that does not wait", ASYNC_OVER_FLOOR),
        _cheapest(results, "pipelined", "pipelined plaintext"),
        _cheapest(results, "parameters", "3 validated parameters"),
        _cheapest(results, "upload", "multipart upload of 10 MiB"),
        _accesslog(results),
        _cheapest(results, "static4k", "static file of 4 KiB, of the servers in Python"),
        _cheapest(results, "static10m", "static file of 10 MiB, of the servers in Python"),
        _over_nginx(results),
        _large_file(results),
        _large_file_on_both_ends(results),
        _idle(results),
        _start(results),
        _worker(results),
        _reload(results),
    ]
    return [verdict for verdict in every if verdict is not None]


def _over_floor(results: Results, workload: str, what: str, bar: float) -> Verdict | None:
    best = results.best(workload)
    if "kore" not in best or "floor" not in best:
        return None
    ratio = best["kore"].cpu / best["floor"].cpu
    return Verdict(what, f"at most {bar} times the floor", f"{ratio:.2f} times", ratio <= bar)


def _over_nginx(results: Results) -> Verdict | None:
    best = results.best("static4k")
    nginx = [run.cpu for name, run in best.items() if name.startswith("nginx")]
    if "kore" not in best or not nginx:
        return None
    ratio = best["kore"].cpu / min(nginx)
    bar = f"at most {FILE_OVER_NGINX} times the better nginx"
    return Verdict("static file of 4 KiB", bar, f"{ratio:.2f} times", ratio <= FILE_OVER_NGINX)


def _large_file(results: Results) -> Verdict | None:
    best = results.best("static10m")
    if "kore" not in best or "nginx" not in best:
        return None
    ratio = best["kore"].cpu / best["nginx"].cpu
    bar = f"at most {LARGE_FILE_OVER_NGINX} times nginx, the server's CPU alone"
    is_met = ratio <= LARGE_FILE_OVER_NGINX
    return Verdict("static file of 10 MiB", bar, f"{ratio:.2f} times", is_met)


def _large_file_on_both_ends(results: Results) -> Verdict | None:
    # On one machine, which of both ends sends a segment, and pays for it, depends on the client's
    # window: nginx, which sends the head in a packet of its own, leaves more of it to the client.
    best = results.best("static10m")
    nginx = [run.cpu + run.client for name, run in best.items() if name.startswith("nginx")]
    if "kore" not in best or not nginx:
        return None
    ratio = (best["kore"].cpu + best["kore"].client) / min(nginx)
    bar = f"at most {LARGE_FILE_OVER_NGINX} times the best nginx, server and client together"
    what = "static file of 10 MiB, both ends"
    return Verdict(what, bar, f"{ratio:.2f} times", ratio <= LARGE_FILE_OVER_NGINX)


def _cheapest(results: Results, workload: str, what: str) -> Verdict | None:
    best = results.best(workload)
    others = {name: run.cpu for name, run in best.items() if name not in {"kore", *BASES}}
    if "kore" not in best or not others:
        return None
    name = min(others, key=lambda each: others[each])
    found = f"{best['kore'].cpu:.2f} µs; next is {name}, {others[name]:.2f} µs"
    bar = "less CPU per request than every peer"
    return Verdict(what, bar, found, best["kore"].cpu < others[name])


def _accesslog(results: Results) -> Verdict | None:
    plain, logged = (results.best(name).get("kore") for name in ("plaintext", "accesslog"))
    if plain is None or logged is None:
        return None
    more = logged.cpu - plain.cpu
    what, bar = "a line of the access log", f"at most {ACCESSLOG_MICROSECONDS} µs"
    return Verdict(what, bar, f"{more:.2f} µs", more <= ACCESSLOG_MICROSECONDS)


def _idle(results: Results) -> Verdict | None:
    if "kore" not in results.idle:
        return None
    each = results.idle["kore"].pss
    bar = f"at most {IDLE_BYTES / KIB} KiB"
    return Verdict("an idle connection", bar, f"{each / KIB:.2f} KiB", each <= IDLE_BYTES)


def _start(results: Results) -> Verdict | None:
    if "kore" not in results.start:
        return None
    took = results.start["kore"]
    bar = f"at most {START_SECONDS} s"
    return Verdict("start to first answer", bar, f"{took:.3f} s", took <= START_SECONDS)


def _worker(results: Results) -> Verdict | None:
    if results.worker is None:
        return None
    what = "memory private to a further worker after 1,000 requests"
    bar, found = f"at most {WORKER_BYTES / MB:.0f} MB", f"{results.worker / MB:.2f} MB"
    return Verdict(what, bar, found, results.worker <= WORKER_BYTES)


def _reload(results: Results) -> Verdict | None:
    felt = results.reload
    if felt is None:
        return None
    found = (
        f"{felt.failed} of {felt.requests:,} failed in {felt.reloads} reloads; "
        f"{felt.retried} repeated after an orderly close"
    )
    what = "HUP under load of 32 clients, 20 times"
    return Verdict(what, "no failed request", found, felt.reloads == 20 and not felt.failed)

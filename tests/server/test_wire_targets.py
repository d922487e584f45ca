"""Raw cases: request targets and the Host field."""

from tests.helpers.build import HOST, request
from tests.helpers.build import get as at
from tests.helpers.fix_worker import ThreadServer
from tests.helpers.wire import CLOSED, Case, answered, both_ways, check, refused

ECHO = frozenset({"POST", "PUT", "PATCH", "DELETE"})


def hosts(*lines: str, version: str = "HTTP/1.1") -> bytes:
    return request("GET", "/", *lines, version=version, host=None)


def served(name: str, value: str) -> Case:
    return answered(name, hosts(f"Host: {value}"))


def bad(name: str, value: str) -> Case:
    return refused(name, 400, hosts(f"Host: {value}"))


def missing(name: str, target: str) -> Case:
    return refused(name, 404, at(target), end="open")


def long(length: int) -> bytes:
    return at("/?" + "a" * (length - 2))


TARGETS = [
    answered("target.absolute", at(f"http://{HOST}/")),
    answered("target.absolute-upper", at(f"HTTP://{HOST}/")),
    # The domain `*` takes any authority; test_routing has named ones.
    answered("target.absolute-other-host", at("http://other.invalid/")),
    answered("target.absolute-no-path", at(f"http://{HOST}")),
    refused("target.no-slash", 400, at("foo")),
    refused("target.star-get", 400, at("*")),
    missing("target.double-slash", "//"),
    answered("target.empty-query", at("/?")),
    refused("target.query-only", 400, at("?a=b")),
    refused("target.fragment", 400, at("/#frag")),
    missing("target.dot", "/."),
    missing("target.dotdot", "/no-such/.."),
    missing("target.enc-dotdot", "/%2e%2e/"),
    missing("target.enc-slash", "/%2f"),
    refused("target.enc-nul", 400, at("/%00")),
    # /echo by another spelling: it is found, and has no GET.
    refused("target.enc-letter", 405, at("/%65cho"), end="open", allow=ECHO),
    refused("target.bad-percent", 400, at("/%zz")),
    refused("target.short-percent", 400, at("/%")),
    refused("target.backslash", 400, at("/\\")),
    missing("target.semicolon", "/;p=1"),
    missing("target.upper", "/ECHO"),
    answered("target.len-1990", long(1990)),
    answered("target.len-1998", long(1998)),
    answered("target.len-1999", long(1999)),
    answered("target.len-4000", long(4000)),
    # 8000 bytes are for the whole line; method, version and spaces take 13 of them.
    answered("target.line-8000", long(8000 - len("GET  HTTP/1.1"))),
    refused("target.line-8001", 414, long(8001 - len("GET  HTTP/1.1"))),
    refused("target.len-8000", 414, long(8000)),
    refused("target.len-20000", 414, long(20000)),
    refused("target.len-70000", 414, long(70000)),
]

HOSTS = [
    refused("host.missing", 400, hosts("X-A: b")),
    refused("host.missing-no-headers", 400, hosts()),
    answered("host.missing-http10", hosts("X-A: b", version="HTTP/1.0"), end=CLOSED),
    answered("host.none-http10", hosts(version="HTTP/1.0"), end=CLOSED),
    bad("host.empty", ""),
    bad("host.space", " "),
    served("host.port", f"{HOST}:8080"),
    served("host.empty-port", f"{HOST}:"),
    bad("host.bad-port", f"{HOST}:http"),
    bad("host.two-colons", f"{HOST}:1:2"),
    bad("host.slash", f"{HOST}/x"),
    bad("host.inner-space", "a b"),
    bad("host.userinfo", f"u:p@{HOST}"),
    bad("host.at", f"u@{HOST}"),
    bad("host.query", f"{HOST}?x"),
    bad("host.comma", "a,b"),
    served("host.ipv6", "[::1]"),
    served("host.ipv6-port", "[::1]:80"),
    bad("host.ipv6-open", "[::1"),
    served("host.upper", HOST.upper()),
    served("host.len-253", "a" * 253),
    bad("host.len-254", "a" * 254),
    bad("host.len-1000", "a" * 1000),
    refused("host.dup-same", 400, hosts(f"Host: {HOST}", f"Host: {HOST}")),
    refused("host.dup-diff", 400, hosts(f"Host: {HOST}", "Host: other.invalid")),
    answered("host.prefix-name-first", hosts("HostX: other.invalid", f"Host: {HOST}")),
    refused("host.prefix-name-only", 400, hosts(f"Hostile: {HOST}")),
    answered("host.last-of-30", hosts(*(f"X-{n}: v" for n in range(29)), f"Host: {HOST}")),
]


@both_ways(TARGETS + HOSTS)
def test_a_target_and_a_host_lead_somewhere_or_are_refused(plain: ThreadServer, case: Case) -> None:
    check(plain, case)

"""What is asked of every server: a table."""

import json
from collections.abc import Callable
from dataclasses import dataclass

HELLO = b"hello world"
DOCUMENT = {"message": "hello world", "number": 42, "flag": True, "items": [1, 2, 3]}
KILOBYTE = b"k" * 1024


@dataclass(frozen=True, slots=True)
class Workload:
    """One kind of request, how wrk makes it, and how to know a right answer."""

    name: str
    title: str
    path: str
    right: Callable[[bytes], bool]
    method: str = "GET"
    body: bytes | None = None
    script: str = "report.lua"
    connections: int = 64
    depth: int = 1  # requests in one write


def _is_hello(body: bytes) -> bool:
    return body == HELLO


def _is_document(body: bytes) -> bool:
    try:
        return bool(json.loads(body) == DOCUMENT)
    except ValueError:
        return False


def _is_kilobyte(body: bytes) -> bool:
    return body == KILOBYTE


WORKLOADS = {
    each.name: each
    for each in (
        Workload("plaintext", "plaintext, 64 keep-alive connections", "/", _is_hello),
        Workload(
            "pipelined", "plaintext, pipelined 16 deep", "/", _is_hello,
            script="pipeline.lua", depth=16,
        ),
        Workload("async", "async handler that does not wait", "/async", _is_hello),
        Workload("json", "JSON of a small dict", "/json", _is_document),
        Workload(
            "echo", "1 KiB POST echoed", "/echo", _is_kilobyte,
            method="POST", body=KILOBYTE, script="post.lua",
        ),
    )
}  # fmt: skip

# The ones that are not a load by wrk; each has its own function in rounds.py.
OTHERS = {
    "idle": "10,000 idle keep-alive connections",
    "start": "start to first answer",
    "worker": "memory private to a further worker after 1,000 requests",
    "reload": "HUP under load of 32 clients, 20 times",
}

"""What is asked of every server: a table."""

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

HELLO = b"hello world"
DOCUMENT = {"message": "hello world", "number": 42, "flag": True, "items": [1, 2, 3]}
KILOBYTE = b"k" * 1024
QUERY = "id=42&name=alice&flag=yes"
FILE = random.Random(1).randbytes(10 << 20)  # what is compressed already looks like this
FORM = (
    b'--bench\r\nContent-Disposition: form-data; name="file"; filename="f.bin"\r\n'
    b"Content-Type: application/octet-stream\r\n\r\n" + FILE + b"\r\n--bench--\r\n"
)
# Files for the static workloads, name and size; made when first needed.
STATIC = Path(__file__).resolve().parent / ".static"
FILES = {"4k.bin": 4096, "1m.bin": 1 << 20, "10m.bin": 10 << 20}


@dataclass(frozen=True, slots=True)
class Workload:
    """One kind of request, how wrk makes it, and how to know a right answer."""

    name: str
    title: str
    path: str
    right: Callable[[bytes], bool]
    method: str = "GET"
    body: bytes | None = None
    content_type: str = "text/plain"
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


def _is_parameters(body: bytes) -> bool:
    return body == b"42 alice yes"


def _is_upload(body: bytes) -> bool:
    return body == str(len(FILE)).encode()


def _is_kilobyte(body: bytes) -> bool:
    return body == KILOBYTE


def static_directory() -> Path:
    """Return the directory with the files, all of them made."""
    STATIC.mkdir(exist_ok=True)
    for name in FILES:
        path = STATIC / name
        if not path.exists() or path.read_bytes() != _content(name):
            path.write_bytes(_content(name))
    return STATIC


def _content(name: str) -> bytes:
    return (b"0123456789abcde\n" * (FILES[name] // 16))[: FILES[name]]


def _is_4k(body: bytes) -> bool:
    return body == _content("4k.bin")


def _is_10m(body: bytes) -> bool:
    return body == _content("10m.bin")


WORKLOADS = {
    each.name: each
    for each in (
        Workload("plaintext", "plaintext, 64 keep-alive connections", "/", _is_hello),
        Workload(
            "pipelined", "plaintext, pipelined 16 deep", "/", _is_hello,
            script="pipeline.lua", depth=16,
        ),
        Workload("accesslog", "plaintext with an access log, combined format", "/", _is_hello),
        Workload("async", "async handler that does not wait", "/async", _is_hello),
        Workload("json", "JSON of a small dict", "/json", _is_document),
        Workload(
            "echo", "1 KiB POST echoed", "/echo", _is_kilobyte,
            method="POST", body=KILOBYTE, script="post.lua",
        ),
        Workload(
            "parameters", "3 validated parameters", f"/parameters?{QUERY}", _is_parameters
        ),
        Workload(
            "upload", "multipart upload of 10 MiB, 4 connections", "/upload", _is_upload,
            method="POST", body=FORM, content_type="multipart/form-data; boundary=bench",
            script="body.lua", connections=4,
        ),
        Workload("static4k", "static file of 4 KiB", "/static/4k.bin", _is_4k),
        Workload(
            "static10m", "static file of 10 MiB, 8 connections", "/static/10m.bin", _is_10m,
            connections=8,
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

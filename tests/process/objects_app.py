"""Workers that do what one tells another to: `/WORKER/WHAT` reaches any of them."""

import asyncio
import os
import random
import time
from pathlib import Path

import kore
from kore import _context
from kore._process.ipc import datagrams, messages
from kore._process.ipc.fragments import FRAGMENT_HEADER, FRAGMENT_SIZE
from kore._process.ipc.messages import MessageKind, RoutedMessage

# What came from whom, and under which name: the last number, and how many came.
SEEN: dict[tuple[int, str], list[int]] = {}


def say(text):
    kore.log(kore.LOG_NOTICE, text)


class App:
    """The hooks."""

    def onmsg(self, obj):
        match obj:
            case ("do", what, argument, number):
                result = globals()[f"do_{what}"](argument)
                if asyncio.iscoroutine(result):
                    kore.task_create(result)
                say(f"did {number}")
            case ("count", sender, name, number, _):
                count((sender, name), number)
            case ("async", *_):
                return slowly(obj)
            case {"from": pid}:
                say(f"in {os.getpid()} from {pid}")
            case _:
                say(f"got {obj!r}")
        return None


async def slowly(obj):
    _, number, error = obj
    say(f"began {number}")
    await asyncio.sleep(0.01)
    if error:
        raise SystemExit(f"failed {number}")
    say(f"ended {number}")


def count(stream, number):
    seen = SEEN.setdefault(stream, [-1, 0])
    assert number in (seen[0] + 1, 0), f"{number} of {stream} after {seen[0]}"
    seen[:] = number, seen[1] + 1


def do_seen(argument):
    found = sorted((stream[0], *seen) for stream, seen in SEEN.items() if stream[1] == argument)
    say(f"seen {argument} {found}")


def do_send(argument):
    kore.sendobj(eval(argument))


def do_block(argument):
    """Block the event loop until there is a file."""
    say(f"blocked until {argument}")
    while not Path(argument).exists():
        time.sleep(0.01)


def do_kill(_):
    os.kill(os.getpid(), 9)


async def send(obj, worker):
    """Send an object as soon as it is taken."""
    while True:
        try:
            kore.sendobj(obj, worker)
        except kore.errors.BusyError:
            await kore.sendobj_drained(worker)
        else:
            break


async def do_load(argument):
    """Send so many objects of a size to one worker, or all; as fast as they take them."""
    to, number, size = map(int, argument.split(","))
    for at in range(number):
        await send(("count", kore.worker(), argument, at, bytes(size)), to or None)
    await kore.sendobj_drained(to or None)
    say(f"loaded {argument}")


def do_fill(argument):
    """Send objects of a size to one worker until it is busy, and say how many that were."""
    to, size = map(int, argument.split(","))
    at = 0
    try:
        while True:
            kore.sendobj(("count", kore.worker(), argument, at, bytes(size)), to)
            at += 1
    except kore.errors.BusyError as error:
        say(f"filled {to} with {at}: {error}, {error.workers}")


async def do_drained(argument):
    await kore.sendobj_drained(int(argument) or None)
    say(f"drained {argument}")


def raw(data):
    """Write to the channel, past everything that keeps it in order."""
    sock = _context.current.worker.channel.socket
    sock.setblocking(True)
    sock.send(data)
    sock.setblocking(False)


def do_half(argument):
    """Send the first half of an object to a worker, and end."""
    piece = FRAGMENT_HEADER.pack(time.monotonic_ns(), 2 * FRAGMENT_SIZE, 0) + bytes(FRAGMENT_SIZE)
    raw(datagrams.encode(RoutedMessage(int(argument), MessageKind.OBJECT, piece)))
    do_kill("")


def do_flood(argument):
    """Send a worker more than its window, and more."""
    for number in range(1, 2000):
        piece = FRAGMENT_HEADER.pack(number, FRAGMENT_SIZE, 0) + bytes(FRAGMENT_SIZE)
        raw(datagrams.encode(RoutedMessage(int(argument), MessageKind.OBJECT, piece)))


def do_junk(argument):
    """Send what is no piece, and no object."""
    to = int(argument)
    for content in (
        b"",
        b"short",
        FRAGMENT_HEADER.pack(1, 1 << 31, 0),
        FRAGMENT_HEADER.pack(2, 0, 0),
        bytes(100),
    ):
        raw(datagrams.encode(RoutedMessage(to, MessageKind.OBJECT, content)))
    _context.current.worker.bus.send(MessageKind.OBJECT, b"\x80\x04N.\x80", to, echo=False)
    _context.current.worker.bus.send(MessageKind.OBJECT, b"\xc1\0", to, echo=False)


def do_fuzz(seed):
    """Send parcels that the parent carries, with anything in them."""
    rng = random.Random(int(seed))
    for _ in range(300):
        content = rng.randbytes(rng.choice([0, 5, 16, 20, 200, 5000]))
        if rng.random() < 0.7:
            size = rng.choice(
                [len(content), 0, 5, FRAGMENT_SIZE, 2 * FRAGMENT_SIZE, rng.getrandbits(32)]
            )
            start = rng.choice([0, 0, 0, FRAGMENT_SIZE, rng.getrandbits(32)])
            content = FRAGMENT_HEADER.pack(rng.getrandbits(64), size, start) + content
        flags = rng.choice([1, 2, 1, 2, 0x101, 0x102, 0x201, 0x202])
        to = rng.randint(1, 3) if flags & messages.ACK else rng.randint(0, 3)
        raw(datagrams.encode(RoutedMessage(to, flags & ~messages.ECHO if to else flags, content)))


def do_forge(_):
    """Send what a worker may not."""
    for parcel in (
        RoutedMessage(9, MessageKind.OBJECT, b"to nobody"),
        RoutedMessage(2, 9, b"of no kind"),
        RoutedMessage(2, 0x8000 | MessageKind.OBJECT, b"with flags"),
        RoutedMessage(0, messages.ACK | MessageKind.OBJECT, b"a receipt to all"),
    ):
        raw(datagrams.encode(parcel))
    raw(datagrams.encode(messages.WorkerExited(2)))


def there(path):
    return Path(path).exists()


async def tell(req, worker, what):
    number, argument = int(req.request_header("number")), req.request_header("argument")
    await send(("do", what, argument, number), int(worker))
    req.response(200, str(kore.worker()).encode())


async def wait(req, argument):
    """Hold on to this worker, and let it send something at last."""
    say(f"waiting in {os.getpid()}")
    while not there(argument):  # noqa: ASYNC110 - another process makes it
        await asyncio.sleep(0.01)
    kore.sendobj({"from": os.getpid()})
    await kore.sendobj_drained()
    req.response(200, b"")


koreapp = App()
domain = kore.domain("*", attach="http")
domain.route("^/([0-9]+)/([a-z]+)$", tell, methods=["get"])
domain.route("^/wait/(.*)$", wait, methods=["get"])
domain.route("/pid", lambda req: req.response(200, str(os.getpid()).encode()), methods=["get"])

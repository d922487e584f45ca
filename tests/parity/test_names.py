"""Every name that C Kore's Python has, with the arguments that may be given: data, and one check.

What a call here says is only bound to the function's parameters; what it does is tested elsewhere.
"""

import inspect
from collections.abc import Callable
from typing import Any

import pytest

import kore

# In the newest release; behind them those of 3.3, which its page has and the newest lacks.
FUNCTIONS = """
    app() app(1) log(6, "x") time() lock() queue() worker() tracer(print) fatal("x") fatalx("x")
    task_id() sigtrap(10) setname("x") suspend(1) shutdown() coroname("x") corotrace(1) task_kill(1)
    prerequest(print) task_create(1) socket_wrap(1) proc("x") proc("x",1) proc("x",1,env=[])
    route("/") route("/",domain="x",methods=[],get={},post={},qs={},auth={},hooks={})
    timer(print,1,0) timer(print,1,0,data=1) gather() gather(1,2) gather(1,concurrency=1)
    domain("x") domain("x","y") domain("x",attach="y",cert="a",key="b",acme=True)
    domain("x",client_verify="c",verify_depth=1,crl="d")
    server(ip="x",port="1") server(name="x",path="/x",tls=False) server("x",ip="y",port="1")
    privsep("worker",root="/",runas="x",skip=["chroot"]) sendobj(1) sendobj(1,worker=1)
    websocket_broadcast(1,1,b"",2) dbsetup("x","y") dbquery("x","y") dbquery("x","y",params=[])
    dbquery("x","y",params=[],binary=True) curl("x") httpclient("x")
    httpclient("x",tlscert="a",tlskey="b",tlsverify=True,cabundle="c",unix="d",curlopt={})

    bind("x","1") bind_unix("x") register_database("x","y")
"""
MEMBERS = {
    "pydomain": 'filemaps({}) redirect("x",301,"y") route("/",print) '
    'route("/",print,methods=[],auth={},hooks={}) accesslog',
    "pytimer": "close()",
    "pysocket": 'recv(1) recv(1,2) send(b"") close() accept() sendto("x",1,b"") sendto("x",b"") '
    'connect("x",1) connect("x") recvmsg(1) recvfrom(1)',
    "pyqueue": "pop() push(1) popnow()",
    "pylock": "acquire() release() trylock() __aenter__() __aexit__(1,2,3)",
    "pyproc": 'kill() reap() recv(1) recv(1,2) send(b"") close_stdin() pid',
    "pyconnection": 'disconnect() websocket_send(1,b"") fd addr x509 x509dict',
    "pyhttp_request": 'cookie("x") headers() response(200,b"") argument("x") body_read(1) '
    'file_lookup("x") populate_get() populate_post() populate_multi() populate_cookies() '
    'request_header("x") response_header("x","y") websocket_handshake(1,2,3) host path body agent '
    "method protocol body_path body_digest connection "
    'populate_multipart() pgsql("x","y") pgsql("x","y",params=[],binary=True)',
    "pyhttp_file": "read(1) name filename",
    "pycurlhandle": 'run() setopt(1,2) setbody(b"")',
    "pyhttpclient": " ".join(
        f'{verb}() {verb}(headers={{}},body=b"",return_headers=True,curlopt={{}})'
        for verb in ("get", "put", "post", "head", "patch", "delete", "options")
    ),
}
# What is not there yet, as docs/parity.md says: whose arguments they are of is another matter.
MISSING = ["pyroute", "pyseccomp"]


def calls(text: str) -> list[tuple[str, str]]:
    """Split a table into names and arguments; the arguments of an attribute are none."""
    found = []
    for word in text.replace(", ", ",").split():
        name, _, arguments = word.partition("(")
        found.append((name, f"({arguments}" if arguments else ""))
    return found


def bound(function: Callable[..., Any], arguments: str, *before: object) -> None:
    """Raise TypeError unless *function* can be called with the arguments."""
    signature = inspect.signature(function)
    eval(f"call{arguments}", {"call": lambda *a, **k: signature.bind(*before, *a, **k)})


@pytest.mark.parametrize(("name", "arguments"), calls(FUNCTIONS))
def test_a_function_takes_what_kores_does(name: str, arguments: str) -> None:
    bound(getattr(kore, name), arguments)


@pytest.mark.parametrize(
    ("owner", "name", "arguments"),
    [(owner, *call) for owner, text in MEMBERS.items() for call in calls(text)],
)
def test_an_object_has_what_kores_has(owner: str, name: str, arguments: str) -> None:
    member = inspect.getattr_static(getattr(kore, owner), name)

    assert callable(member) is bool(arguments)
    if arguments:
        bound(member, arguments, "self")


@pytest.mark.parametrize("name", MISSING)
def test_a_name_that_is_missing_is_said_to_be(name: str) -> None:
    with pytest.raises(AttributeError, match=f"module 'kore' has no attribute '{name}'"):
        getattr(kore, name)

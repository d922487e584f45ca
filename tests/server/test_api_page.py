"""The examples that Kore's API page has for requests, as they stand there.

Two colons were missing behind `try`. What ends in a comment has a statement more, and what a route
is to validate stands in its keywords instead of in a configuration file.
"""

import pytest

from tests.helpers.build import get, post
from tests.helpers.fix_serve import Launcher, Server

APP = """
import kore

domain = kore.domain("*", attach="http")

def handler(req):
    cookie = req.cookie("my_session")
    if cookie != None:
        # use cookie value to do things.
        req.response(200, cookie)

cookie = handler

def handler(req):
    req.response(200, b'ok')

response = handler

def handler(req):
    id = req.argument("id")
    if id != None:
        # got an id from somewhere
        req.response(200, id)

argument = handler

def handler(req):
    if req.method == kore.HTTP_METHOD_POST:
        try:
            length, body = req.body_read(1024)
            # do stuff with the body.
            req.response(200, b'%d %b' % (length, body))
        except:
            kore.log(kore.LOG_INFO, "some error occurred")
            req.response(500, b'')

body_read = handler

def handler(req):
    if req.method == kore.HTTP_METHOD_POST:
        req.populate_multi()
        try:
            file = req.file_lookup("myfile")
            length, data = file.read(1024)
            # do stuff with the data .
            req.response(200, b'%d %b' % (length, data))
        except:
            kore.log(kore.LOG_INFO, "some error occurred")
            req.response(500, b'')

file_lookup = handler

def myhandler(req):
    xrequest = req.request_header("x-request")
    if xrequest != None:
        req.response_header("x-response", xrequest)

    req.response(200, b'hello world')

def first(populate):
    def run(req):
        getattr(req, populate)()
        argument(req)
    return run

def cookies(req):
    req.populate_cookies()
    cookie(req)

NUMBER = {"id": "^[0-9]+$"}
domain.route("/cookie", cookie, methods=["get"])
domain.route("/populate_cookies", cookies, methods=["get"])
domain.route("/response", response, methods=["get"])
domain.route("/populate_get", first("populate_get"), methods=["get"], get=NUMBER)
domain.route("/populate_post", first("populate_post"), methods=["post"], post=NUMBER)
domain.route("/populate_multipart", first("populate_multipart"), methods=["post"], post=NUMBER)
domain.route("/body_read", body_read, methods=["post"])
domain.route("/file_lookup", file_lookup, methods=["post"])
domain.route("/header", myhandler, methods=["get"])
"""

TYPE = "Content-Type: multipart/form-data; boundary=XX"
FIELD = b'--XX\r\nContent-Disposition: form-data; name="id"\r\n\r\n7\r\n--XX--\r\n'
FILE = (
    b'--XX\r\nContent-Disposition: form-data; name="myfile"; filename="a"\r\n\r\nabc\r\n--XX--\r\n'
)


@pytest.fixture(scope="module")
def server(serve_module: Launcher) -> Server:
    return serve_module(APP)


@pytest.mark.parametrize(
    ("sent", "body"),
    [
        (get("/cookie", "Cookie: my_session=abc"), b"abc"),
        (get("/populate_cookies", "Cookie: my_session=abc"), b"abc"),
        (get("/response"), b"ok"),
        (get("/populate_get?id=7"), b"7"),
        (post(b"id=7", target="/populate_post"), b"7"),
        (post(FIELD, -1, TYPE, target="/populate_multipart"), b"7"),
        (post(b"abc", target="/body_read"), b"3 abc"),
        (post(FILE, -1, TYPE, target="/file_lookup"), b"3 abc"),
    ],
)
def test_an_example_does_what_the_page_says(server: Server, sent: bytes, body: bytes) -> None:
    with server.connect() as client:
        answer = client.ask(sent)

    assert (answer.status, answer.body) == (200, body)


def test_a_field_comes_back_under_another_name(server: Server) -> None:
    with server.connect() as client:
        with_field = client.ask(get("/header", "X-Request: abc"))
        without = client.ask(get("/header"))

    assert (with_field.get("x-response"), with_field.body) == ("abc", b"hello world")
    assert without.get("x-response") is None


def test_a_file_that_is_not_there_is_the_examples_own_500(server: Server) -> None:
    with server.connect() as client, server.expecting("some error occurred", errors=0):
        answer = client.ask(post(FIELD, -1, TYPE, target="/file_lookup"))

    assert (answer.status, answer.body) == (500, b"")


def test_an_example_that_gives_no_answer_is_a_500(server: Server) -> None:
    with server.connect() as client, server.expecting("no response: ", errors=0):
        assert client.ask(get("/cookie")).status == 500

"""The workload as a bare WSGI application: fastpysgi. WSGI has no async handlers."""

import json

DOCUMENT = {"message": "hello world", "number": 42, "flag": True, "items": [1, 2, 3]}
TEXT = [("Content-Type", "text/plain")]
JSON = [("Content-Type", "application/json")]


def plaintext(environ, start):
    start("200 OK", TEXT)
    return [b"hello world"]


def document(environ, start):
    start("200 OK", JSON)
    return [json.dumps(DOCUMENT).encode()]


def echo(environ, start):
    body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
    start("200 OK", TEXT)
    return [body]


def missing(environ, start):
    start("404 Not Found", TEXT)
    return [b""]


ROUTES = {"/": plaintext, "/json": document, "/echo": echo}


def app(environ, start):
    return ROUTES.get(environ["PATH_INFO"], missing)(environ, start)

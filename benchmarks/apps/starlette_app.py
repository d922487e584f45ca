"""The workload on starlette, served by uvicorn."""

import json
import os
import re

from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

DOCUMENT = {"message": "hello world", "number": 42, "flag": True, "items": [1, 2, 3]}
RULES = {"id": re.compile("[0-9]+"), "name": re.compile("[a-z]+"), "flag": re.compile("yes|no")}


async def plaintext(request):
    return Response(b"hello world", media_type="text/plain")


async def document(request):
    return Response(json.dumps(DOCUMENT).encode(), media_type="application/json")


async def echo(request):
    return Response(await request.body())


async def parameters(request):
    given = request.query_params
    if not all(rule.fullmatch(given.get(name, "")) for name, rule in RULES.items()):
        return Response(status_code=400)
    return Response(f"{given['id']} {given['name']} {given['flag']}".encode())


async def upload(request):
    async with request.form() as form:
        data = await form["file"].read()
    return Response(str(len(data)).encode())


app = Starlette(
    routes=[
        Route("/", plaintext),
        Route("/async", plaintext),
        Route("/json", document),
        Route("/echo", echo, methods=["POST"]),
        Route("/parameters", parameters),
        Route("/upload", upload, methods=["POST"]),
        Mount("/static", StaticFiles(directory=os.environ["STATIC"])),
    ]
)

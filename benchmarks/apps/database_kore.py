"""The database workload on kore: the example of the TechEmpower tests, and one more route."""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "examples" / "techempower"))

import app

import kore

kore.route("/", methods=["get"])(lambda req: req.response(200, b"hello world"))


@kore.route("/sequence", methods=["get"])
async def sequence(req):
    found = []
    for number in app.some(req):
        (row,) = await req.pgsql("hello_world", app.WORLD, params=[number])
        found.append(app.world(row))
    app.answer(req, json.dumps(found))

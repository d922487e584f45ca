"""An application as a module, without a class: `kore examples/functions/app.py`."""

import json
import os

import kore

kore.config.workers = 1
kore.server(ip="127.0.0.1", port=os.environ.get("PORT", "8888"), tls=False)
kore.domain("*")

notes = {}  # of this worker: with more than one, each would have its own


@kore.route("/notes", methods=["get"])
def titles(req):
    req.response_header("content-type", "application/json")
    req.response(200, json.dumps(sorted(notes)))


@kore.route("^/notes/([[:alnum:]]+)$", methods=["get"])
def read(req, title):
    if title not in notes:
        req.response(404, "no such note\n")
        return
    req.response(200, notes[title])


@kore.route("^/notes/([[:alnum:]]+)$", methods=["put"])
def write(req, title):
    status = 204 if title in notes else 201
    notes[title] = req.body
    req.response(status)

"""The tests of the TechEmpower benchmarks: JSON, plain text, and four uses of a database.

The database is the connection string in DSN, with the tables of database.sql.
"""

import html
import json
import os
import random

import kore

kore.config.workers = int(os.environ.get("WORKERS", "1"))
kore.config.pgsql_conn_max = 16
kore.server("tfb", ip="127.0.0.1", port=os.environ.get("PORT", "8888"), tls=False)
kore.domain("*", attach="tfb")
kore.dbsetup("hello_world", os.environ.get("DSN", "dbname=hello_world"))

WORLD = "SELECT id, randomnumber FROM world WHERE id = $1"
FORTUNES = "SELECT id, message FROM fortune"
UPDATE = (
    "UPDATE world SET randomnumber = new.number "
    "FROM unnest($1::int[], $2::int[]) AS new (id, number) WHERE world.id = new.id"
)
ROW = "<tr><td>%s</td><td>%s</td></tr>"
PAGE = (
    "<!DOCTYPE html><html><head><title>Fortunes</title></head><body><table>"
    "<tr><th>id</th><th>message</th></tr>%s</table></body></html>"
)
EXTRA = "Additional fortune added at request time."


def answer(req, body, kind="application/json"):
    req.response_header("content-type", kind)
    req.response(200, body)


def some(req):
    """Return ids of so many worlds as asked for, 1 to 500."""
    given = req.query.get("queries", [""])[0]
    # Of 20 ids among 10,000 some may be the same, which an update would not like.
    return random.sample(range(1, 10001), min(max(int(given), 1), 500) if is_number(given) else 1)


def is_number(text):
    return text.isascii() and text.removeprefix("-").isdigit()


def world(row):
    return {"id": int(row["id"]), "randomNumber": int(row["randomnumber"])}


@kore.route("/", methods=["get"])
def hello(req):
    req.response(200, b"hello world")


@kore.route("/plaintext", methods=["get"])
def plaintext(req):
    answer(req, b"Hello, World!", "text/plain")


@kore.route("/json", methods=["get"])
def as_json(req):
    answer(req, json.dumps({"message": "Hello, World!"}))


@kore.route("/db", methods=["get"])
async def single(req):
    (row,) = await req.pgsql("hello_world", WORLD, params=[random.randint(1, 10000)])
    answer(req, json.dumps(world(row)))


@kore.route("/sequence", methods=["get"])
async def sequence(req):
    """Do what /queries does, each query after the answer to the one before."""
    found = []
    for number in some(req):
        (row,) = await req.pgsql("hello_world", WORLD, params=[number])
        found.append(world(row))
    answer(req, json.dumps(found))


@kore.route("/queries", methods=["get"])
async def queries(req):
    asked = [(WORLD, [number]) for number in some(req)]
    found = await kore.dbpipeline("hello_world", asked)
    answer(req, json.dumps([world(row) for (row,) in found]))


@kore.route("/fortunes", methods=["get"])
async def fortunes(req):
    rows = await req.pgsql("hello_world", FORTUNES)
    all_of_them = [(row["message"], row["id"]) for row in rows]
    all_of_them.append((EXTRA, "0"))
    all_of_them.sort()
    lines = "".join([ROW % (number, html.escape(message)) for message, number in all_of_them])
    answer(req, PAGE % lines, "text/html; charset=utf-8")


@kore.route("/updates", methods=["get"])
async def updates(req):
    # In one order, or two requests could wait for each other.
    numbers = sorted(some(req))
    found = await kore.dbpipeline("hello_world", [(WORLD, [number]) for number in numbers])
    worlds = [world(row) for (row,) in found]
    for each in worlds:
        each["randomNumber"] = random.randint(1, 10000)
    new = ",".join(str(each["randomNumber"]) for each in worlds)
    ids = ",".join(map(str, numbers))
    await req.pgsql("hello_world", UPDATE, params=[f"{{{ids}}}", f"{{{new}}}"])
    answer(req, json.dumps(worlds))

"""Books in a database: what a row is, what a conflict is. DATABASE says where they are."""

import json
import os

import kore

kore.server("books", ip="127.0.0.1", port=os.environ.get("PORT", "8888"), tls=False)
kore.config.workers = 1
kore.domain("*", attach="books")
kore.dbsetup("books", os.environ.get("DATABASE", "dbname=postgres"))


class koreapp:  # noqa: N801 - Kore's name
    @staticmethod
    async def workerstart():
        table = "CREATE TABLE IF NOT EXISTS books (title text PRIMARY KEY, author text)"
        await kore.dbquery("books", table)


@kore.route("/books", methods=["get"])
async def books(req):
    rows = await req.pgsql("books", "SELECT title, author FROM books ORDER BY title")
    req.response(200, json.dumps(rows))


@kore.route("^/book/([a-z]+)$", methods=["post"])
async def add(req, title):
    try:
        added = await kore.dbexecute(
            "books", "INSERT INTO books VALUES ($1, $2)", params=[title, req.body.decode()]
        )
        req.response(200, f"{added}\n")
    except kore.errors.DatabaseError as error:
        if error.sqlstate != "23505":  # unique_violation
            raise
        req.response(409, f"there is one already: {error.fields['detail']}\n")

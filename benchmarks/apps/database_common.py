"""What every application of the database benchmark does alike; the driver is chosen by DRIVER."""

import html
import json
import random

WORLD = "SELECT id, randomnumber FROM world WHERE id = {}"
FORTUNES = "SELECT id, message FROM fortune"
UPDATE = (
    "UPDATE world SET randomnumber = new.number "
    "FROM unnest({}::int[], {}::int[]) AS new (id, number) WHERE world.id = new.id"
)
ROW = "<tr><td>%s</td><td>%s</td></tr>"
PAGE = (
    "<!DOCTYPE html><html><head><title>Fortunes</title></head><body><table>"
    "<tr><th>id</th><th>message</th></tr>%s</table></body></html>"
)
EXTRA = "Additional fortune added at request time."
JSON = "application/json"
HTML = "text/html; charset=utf-8"
CONNECTIONS = 16


def number():
    return random.randint(1, 10000)


def numbers(given):
    count = int(given) if given.isascii() and given.removeprefix("-").isdigit() else 1
    return random.sample(range(1, 10001), min(max(count, 1), 500))


def world(row):
    return {"id": row[0], "randomNumber": row[1]}


def encoded(value):
    return json.dumps(value).encode()


def page(rows):
    found = [(message, str(number)) for number, message in rows]
    found.append((EXTRA, "0"))
    found.sort()
    lines = "".join([ROW % (number, html.escape(message)) for message, number in found])
    return (PAGE % lines).encode()

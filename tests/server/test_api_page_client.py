"""The example that Kore's API page has for the HTTP client, as it stands there."""

from pathlib import Path

from tests.helpers.authority import Authority
from tests.helpers.build import get
from tests.helpers.fix_serve import Launcher
from tests.helpers.http_peer import ReceivedRequest
from tests.helpers.threaded_peer import ThreadedPeer

APP = r"""
import os

# The example asks a host of the real world, whose part somebody beside us plays.
made = kore.httpclient

def httpclient(url):
    where = {kore.CURLOPT_CONNECT_TO: ["kore.io:443:127.0.0.1:" + os.environ["PEER_PORT"]]}
    return made(url, cabundle=os.environ["BUNDLE"], curlopt=where)

kore.httpclient = httpclient
domain = kore.domain("*", attach="http")

async def page(req):
    client = kore.httpclient("https://kore.io")

    # Do a normal GET request.
    status, body = await client.get()

    # Do a POST.
    mybody = "Hello world"
    status, body = await client.post(
        body=mybody.encode("utf-8"),
        headers={
            "x-header": "from-client"
        }
    )

    # Get the headers from a GET request.
    status, headers, body = await client.get(return_headers=True)

    req.response(status, headers["x-answer"].encode() + b" " + body)

domain.route("/", page, methods=["get"])
"""


async def reply(asked: ReceivedRequest) -> None:
    asked.answer(b"a page", 200, "X-Answer: yes")


def test_the_example_of_httpclient_does_what_the_page_says(
    serve: Launcher, tmp_path: Path
) -> None:
    authority = Authority(tmp_path)
    with ThreadedPeer(reply, context=authority.context(name="kore.io")) as beside:
        server = serve(APP, PEER_PORT=str(beside.peer.port), BUNDLE=authority.bundle)
        with server.connect() as client:
            answer = client.ask(get("/"))

        assert (answer.status, answer.body) == (200, b"yes a page")
        first, second, third = beside.peer.asked
        assert {asked.get("host") for asked in beside.peer.asked} == {"kore.io"}
        assert (first.method, second.method, third.method) == ("GET", "POST", "GET")
        assert (second.get("x-header"), second.body) == ("from-client", b"Hello world")
        assert beside.peer.connections == 1

"""Asks itself: two answers at the same time, one in pieces, one that does not come."""

import os

import kore

kore.server(ip="127.0.0.1", port=os.environ.get("PORT", "8888"), tls=False)
kore.server("inside", path=f"@kore-example-client-{os.getuid()}", tls=False)
kore.domain("*")
kore.domain("inside", attach="inside")


def client(path):
    return kore.httpclient(f"http://inside{path}", unix=f"@kore-example-client-{os.getuid()}")


@kore.route("^/number/([0-9]+)$", domain="inside", methods=["get"])
def number(req, text):
    req.response(200, "\n".join(map(str, range(int(text)))))


@kore.route("/sum", domain="*", methods=["get"])
async def total(req):
    results = await kore.gather(client("/number/10").get(), client("/number/20").get())
    lines = [line for _, body in results for line in body.split()]
    req.response(200, f"{sum(map(int, lines))}\n")


@kore.route("/pieces", domain="*", methods=["get"])
async def pieces(req):
    req.response(200, client("/number/100000").stream())


@kore.route("/nobody", domain="*", methods=["get"])
async def nobody(req):
    try:
        await kore.httpclient("http://127.0.0.1:1/").get()
    except kore.errors.ClientError as error:
        req.response(502, f"{error}\n")

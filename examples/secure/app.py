"""TLS and a redirect to it: `kodev run --tls` in this directory, then https://localhost:8443.

With other certificates: `CERT=chain.pem KEY=key.pem kore examples/secure/app.py`. With CLIENT_CA,
clients need certificates of that authority, and are greeted by name.
"""

import os

import kore

kore.server("https", ip="127.0.0.1", port=os.environ.get("PORT", "8443"))
kore.server(
    "http",
    ip="127.0.0.1",
    port=os.environ.get("HTTP_PORT", "8080"),
    tls=False,
    redirect_https=True,
)
site = kore.domain(
    "*",
    attach="https",
    cert=os.environ.get("CERT"),
    key=os.environ.get("KEY"),
    client_verify=os.environ.get("CLIENT_CA"),
)


@kore.route("/", domain=site, methods=["get"])
def index(req):
    names = req.connection.x509dict
    name = names["subject"].get("CN", "a client without a name") if names else "world"
    req.response(200, f"hello {name}, over {req.protocol}\n")

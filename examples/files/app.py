"""A directory of files beside a route: `kore examples/files/app.py`."""

import os
import time
from pathlib import Path

import kore

HERE = Path(__file__).resolve().parent

kore.config.workers = 1
kore.config.filemap_ext = ".html"
kore.config.filemap_cache_control = "max-age=60"
kore.server(ip="127.0.0.1", port=os.environ.get("PORT", "8888"), tls=False)
domain = kore.domain("*")


def tell(req):
    req.response(200, time.strftime("%H:%M:%S\n"))


# Whoever stands first gets the request.
domain.route("/time", tell, methods=["get"])
domain.filemaps({"/": HERE / "public"})

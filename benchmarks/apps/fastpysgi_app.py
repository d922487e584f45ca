"""Start fastpysgi over the WSGI or the ASGI application; the argument says which."""

import os
import sys

import asgi_app
import fastpysgi
import wsgi_app

APPS = {"wsgi": wsgi_app.app, "asgi": asgi_app.app}


# tcp_nodelay stays 0, its default: pipelined answers then wait for the client's delayed
# acknowledgement, but cost almost half the CPU time, which is what is compared.
fastpysgi.run(APPS[sys.argv[1]], host="127.0.0.1", port=int(os.environ["PORT"]))

"""The static workloads on nginx: one process, no access log.

`cached`: it keeps files open. `nopush`: the head leaves in one packet with the file's beginning.
"""

import os
import shutil
import sys
import tempfile
from pathlib import Path

CONF = """
daemon off;
master_process off;
pid {home}/pid;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    sendfile on;
    keepalive_requests 1000000000;
    default_type application/octet-stream;
    {cache}
    {nopush}
    client_body_temp_path {home}/b; proxy_temp_path {home}/p; fastcgi_temp_path {home}/f;
    uwsgi_temp_path {home}/u; scgi_temp_path {home}/s;
    server {{
        listen 127.0.0.1:{port};
        location = / {{ return 200 "hello world"; }}
        location /static/ {{ alias {static}/; }}
    }}
}}
"""
CACHE = "open_file_cache max=1000 inactive=60s; open_file_cache_valid 60s;"

program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
if program is None:
    sys.exit("nginx is not installed (Debian: apt install nginx-light)")
home = Path(tempfile.mkdtemp(prefix="bench-nginx-"))
conf = home / "nginx.conf"
conf.write_text(
    CONF.format(
        home=home,
        cache=CACHE if "cached" in sys.argv else "",
        nopush="tcp_nopush on;" if "nopush" in sys.argv else "",
        port=os.environ["PORT"],
        static=os.environ["STATIC"],
    )
)
os.execv(program, [program, "-e", f"{home}/error.log", "-p", str(home), "-c", str(conf)])

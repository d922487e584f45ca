"""The workload of TLS on nginx: one process, no access log, tickets but no session cache."""

import os
import shutil
import sys
import tempfile
from pathlib import Path

CONF = """
daemon off;
master_process off;
pid {home}/pid;
events {{ worker_connections 12000; }}
worker_rlimit_nofile 12100;
http {{
    access_log off;
    sendfile on;
    keepalive_requests 1000000000;
    default_type application/octet-stream;
    client_body_temp_path {home}/b; proxy_temp_path {home}/p; fastcgi_temp_path {home}/f;
    uwsgi_temp_path {home}/u; scgi_temp_path {home}/s;
    ssl_protocols TLSv1.2 TLSv1.3;
    server {{
        listen 127.0.0.1:{port} ssl backlog=4096;
        ssl_certificate {certificate}; ssl_certificate_key {key};
        location = / {{ return 200 "hello world"; }}
        location /static/ {{ alias {static}/; }}
    }}
    {plain}
}}
"""
PLAIN = """
    server {{ listen 127.0.0.1:{}; location = / {{ return 200 "hello world"; }} }}
"""

program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
if program is None:
    sys.exit("nginx is not installed (Debian: apt install nginx-light)")
home = Path(tempfile.mkdtemp(prefix="bench-nginx-"))
conf = home / "nginx.conf"
conf.write_text(
    CONF.format(
        home=home,
        port=os.environ["PORT"],
        certificate=os.environ["CERTIFICATE"],
        key=os.environ["KEY"],
        static=os.environ["STATIC"],
        plain=PLAIN.format(os.environ["PLAIN_PORT"]) if "PLAIN_PORT" in os.environ else "",
    )
)
os.execv(program, [program, "-e", f"{home}/error.log", "-p", str(home), "-c", str(conf)])

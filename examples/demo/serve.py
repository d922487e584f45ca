"""What `make demo` runs: the demo, with a PostgreSQL server of its own where one can be had."""

import os
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1]))

from tests.helpers import postgres  # noqa: E402 - found by the line above


def main():
    with ExitStack() as stack:
        env = dict(os.environ)
        try:
            server = stack.enter_context(postgres.running())
            server.sql("CREATE TABLE notes (id serial, note text)")
            env["KORE_DEMO_DATABASE"] = server.dsn
        except postgres.Missing as missing:
            print(f"kore: the demo goes without a database: {missing}", flush=True)
        kore = subprocess.Popen([sys.executable, "-m", "kore", HERE / "app.py"], env=env)
        # A terminal's ctrl-C reaches the server, too, and it is its end that counts.
        signal.signal(signal.SIGINT, lambda *_: None)
        signal.signal(signal.SIGTERM, lambda *_: kore.terminate())
        signal.signal(signal.SIGHUP, lambda *_: kore.send_signal(signal.SIGHUP))
        return kore.wait()


sys.exit(main())

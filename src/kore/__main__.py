"""python -m kore: the same as the `kore` command."""

import sys

from kore._cli.main import main

if __name__ == "__main__":
    sys.exit(main())

"""``python -m lstmlab`` is the command line."""

import sys

from lstmlab.cli import main

if __name__ == "__main__":
    sys.exit(main())

"""`python -m mfgjax` is the command `mfgjax`."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())

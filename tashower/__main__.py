"""`python -m tashower` is the command `tashower`."""

import sys

from tashower.cli import main

if __name__ == "__main__":
    sys.exit(main())

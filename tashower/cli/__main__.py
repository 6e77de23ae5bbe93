"""`python -m tashower.cli`, which torchrun starts in each of its processes."""

import sys

from tashower.cli import main

if __name__ == "__main__":
    sys.exit(main())

"""`python -m tashower.cli.begin WORDS`: Snakemake, whose start a Ctrl-C ends in one line.

Snakemake says itself what an interrupt means once it runs; while it is being loaded, a second or
two, Python would print a traceback.
"""

import importlib
import os
import signal


def _interrupted(*_) -> None:
    os.write(2, b"tashower: interrupted before anything ran\n")
    os._exit(130)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, _interrupted)
    run = importlib.import_module("snakemake.cli").main
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        run()
    except KeyboardInterrupt:
        _interrupted()

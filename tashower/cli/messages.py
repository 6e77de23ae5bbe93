"""What commands say: messages and progress on stderr, results on stdout."""

import logging
import sys

log = logging.getLogger("tashower")


class _ToStderr(logging.Handler):
    """Lines on the stderr of the moment, above a progress bar where there is one; what is more than
    information begins with the name of the program.
    """

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        text = record.getMessage()
        if record.levelno > logging.INFO:
            text = f"tashower: {text}"
        if "tqdm" in sys.modules:
            sys.modules["tqdm"].tqdm.write(text, file=sys.stderr)
            sys.stderr.flush()
        else:
            print(text, file=sys.stderr, flush=True)


def messages_to_stderr() -> None:
    """Let the package's messages, from level INFO on, appear on stderr."""
    if not any(isinstance(handler, _ToStderr) for handler in log.handlers):
        log.addHandler(_ToStderr())
    log.setLevel(logging.INFO)
    if getattr(sys.stdout, "errors", None) == "strict":
        # A name that the locale cannot write must not end a command after its work.
        sys.stdout.reconfigure(errors="backslashreplace")


def say(text: object) -> None:
    """One result on stdout."""
    print(text, flush=True)

"""Commands of a workflow that is gone: killed with SIGKILL, Snakemake cannot end its jobs. They
would go on unseen and write beside those of the next run; so each ends itself.
"""

import os
import threading
import time

from tashower.cli.messages import log

#: Variable with the process id of the Snakemake that starts the commands; the workflow sets it.
VARIABLE = "TASHOWER_WORKFLOW"
#: Seconds between two looks (choice: shorter than Snakemake takes to start again).
_EVERY = 0.5


def lives(process: int) -> bool:
    """Whether a process of this machine runs; one that has ended and is not yet collected does
    not.
    """
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it is another user's
        return True
    try:
        with open(f"/proc/{process}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[0] not in (b"Z", b"X")
    except (OSError, IndexError):  # no such folder on this system
        return True


def end_with_workflow() -> None:
    """Watch the workflow that started this command, if one did, and end when that is gone.

    It ends as if it were killed, too: what it would clean up may by then be the next run's.
    """
    word = os.environ.get(VARIABLE, "")
    if not word.isdigit() or int(word) <= 1:
        return
    threading.Thread(target=_watch, args=(int(word),), daemon=True).start()


def _watch(process: int) -> None:
    while lives(process):
        time.sleep(_EVERY)
    log.error("the workflow that started this command is gone: it ends, and writes nothing")
    os._exit(130)

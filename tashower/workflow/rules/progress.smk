"""What is said while the workflow runs: how far it is, and at Ctrl-C how to go on."""

import atexit
import logging
import signal
import sys
import threading

from snakemake.settings.enums import Quietness

from tashower.workload import Workload

# Rules of measured events are taken for those of simulated ones.
LIKE = {
    "convert_data": "reconstruct_events",
    "fit_data": "reconstruct_tested",
    "apply_to_data": "apply_network",
    "explain_network": "apply_network",
    "report_data": "score_methods",
    "robustness": "score_methods",
}
# Seconds between two bars while no job ends.
EVERY = 30


def seconds_of_rules():
    """{rule: seconds of one of its jobs}, as measured: the mean."""
    found = {rule: needs(rule, "mean_seconds") for rule in MEASURED}
    if TRAINING:
        epochs = [training["epochs"] for training in TRAINING.values()]
        found["train_network"] = needs(
            "train_network", "mean_seconds", sum(epochs) / len(epochs)
        )
    return found | {rule: found[like] for rule, like in LIKE.items()}


def fits_apart(jobs):
    """Numbers of jobs with fits of test samples, which take longest, apart from those of learning samples."""
    fits = jobs.get("reconstruct_events", 0)
    size = SAMPLES["chunk_size"]
    learning = sum(-(-SAMPLES[sample] // size) for sample in ("train", "validation"))
    plain = min(fits, learning)
    apart = {"reconstruct_events": plain, "reconstruct_tested": fits - plain}
    return {**jobs, **apart}


class Bar(logging.Handler):
    """A bar after every job, and now and then, from what Snakemake logs."""

    def __init__(self, workload):
        super().__init__()
        self.workload, self.ended = workload, threading.Event()

    def emit(self, record):
        """Count what an event says of a job."""
        event = getattr(getattr(record, "event", None), "name", None)
        if event == "RUN_INFO":
            self.workload.plan(fits_apart(record.stats))
            threading.Thread(target=self.now_and_then, daemon=True).start()
        elif event == "JOB_INFO":
            split = dict(getattr(record, "wildcards", None) or {}).get("split", "")
            self.workload.start(record.jobid, measured_as(record.rule_name, split))
        elif event == "JOB_FINISHED":
            self.workload.finish(record.job_id)
        elif event == "PROGRESS":
            self.say()
            if record.done == record.total:
                self.ended.set()

    def now_and_then(self):
        """While the workflow runs."""
        while not self.ended.wait(EVERY):
            self.say()

    def say(self):
        """One line, where anything is measured of what runs."""
        if not self.workload.known:
            return
        print(self.workload.bar(), file=sys.stderr, flush=True)


INTERRUPTED = []


def interrupted(number, frame):
    """Ctrl-C: remembered, for the last line."""
    INTERRUPTED.append(number)
    signal.default_int_handler(number, frame)


def last_line():
    """Of an interrupted run, when Snakemake has cleaned up; its exit status is 130."""
    if INTERRUPTED:
        print(
            "tashower: interrupted; what was finished is kept, nothing half-written is left:"
            " run the same command again to go on",
            file=sys.stderr,
        )
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(130)


QUIET = {Quietness.ALL, Quietness.PROGRESS}
if workflow.is_main_process and not workflow.dryrun:
    if not QUIET & set(workflow.output_settings.quiet or ()):
        logging.getLogger("snakemake.logging").addHandler(
            Bar(Workload(seconds_of_rules(), CORES))
        )
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, interrupted)
        atexit.register(last_line)
        # Else every job that ends is said to have failed, with its command.
        logging.getLogger("snakemake.logging").addFilter(lambda record: not INTERRUPTED)

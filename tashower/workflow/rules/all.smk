"""All rules, and what is said at the end: included by the package's Snakefile and by that of a checkout."""

from snakemake.utils import min_version

min_version("9.17")  # priorities that depend on the wildcards


include: "common.smk"
include: "chain.smk"
include: "jobs.smk"
include: "progress.smk"
include: "simulate.smk"
include: "reconstruct.smk"
include: "train.smk"
include: "generation.smk"
include: "evaluate.smk"
include: "explain.smk"
include: "learning_curve.smk"
include: "robustness.smk"
include: "data.smk"
include: "compared.smk"
include: "compare.smk"


# What a run is for: the input of `rule all`, which has to stand in the file that Snakemake is
# given (the default target of an included file does not count).
# Every product, not the report alone: Snakemake does not make again what is missing between the two,
# as long as the report is there.
PRODUCTS = [f"{RESULTS}/{name}" for name in products(CONFIG)]


rule reconstructed:
    """Everything before the networks: all samples simulated and fitted."""
    input:
        [
            path
            for split in ("calibration", *samples_of(CONFIG))
            for path in chunks(FITS, split)
        ],


onsuccess:
    # A run may end before it, or be one of other configurations.
    if Path(REPORT).is_file() and not COMPARED:
        scores = "" if DATA["files"] else f" (scores: {RESULTS}/scores.json)"
        print(f"\nThe report: {REPORT}{scores}")


onerror:
    if not INTERRUPTED:
        print(
            "\nSomething failed: the message stands above, the whole log at the path that the failed rule names."
        )
        print(
            "What was finished is kept: run the same command again to go on. After a kill -9 it may ask for"
        )
        print("`tashower run --unlock` first.")

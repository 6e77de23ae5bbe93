"""Air showers from simulation to report: `snakemake` runs it all, `snakemake --configfile mine.yaml` with your keys."""

from snakemake.utils import min_version

min_version("9.0")


configfile: "config/config.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/simulate.smk"
include: "workflow/rules/reconstruct.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/data.smk"


rule all:
    default_target: True
    input:
        REPORT,


rule reconstructed:
    """Everything before the networks: all samples simulated and fitted."""
    input:
        [
            path
            for split in ("calibration", "train", "validation", "test")
            for path in chunks(FITS, split)
        ],


onsuccess:
    scores = "" if DATA["files"] else f" (scores: {RESULTS}/scores.json)"
    print(f"\nThe report: {REPORT}{scores}")


onerror:
    print(
        "\nSomething failed: the message stands above, the whole log at the path that the failed rule names."
    )
    print(
        "What was finished is kept: run the same command again to go on. After a kill -9 it may ask for"
    )
    print("`snakemake --unlock` first.")

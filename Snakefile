"""The workflow of the package, in a checkout: `snakemake` runs it all, `snakemake --configfile mine.yaml` with your keys."""


include: "tashower/workflow/rules/all.smk"


rule all:
    default_target: True
    input:
        PRODUCTS,
